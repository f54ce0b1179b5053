//! The routes of clients and their updates: operation, role, audit text and handler of each.

use super::release_status::ReleaseStatus;
use super::requests::gate_fields;
use super::responses::{
    JobCancelResponse, JobStartResponse, ReleaseList, ReleaseSkipResponse, UpdateSettingsResponse,
};
use super::routes;
use super::service::ClientInUse;
use super::service::UpdateService;
use super::views::{
    ClientRemoval, HistoryPage, InstallPage, JobPage, ReleasePage, SwitchPage, UpdatesPage,
};
use crate::web::ConfirmPage;
use crate::web::MessageResponse;
use crate::web::openapi::{
    PAGE, PAGE_OR_STREAM, PROGRAMS, RequestField, RouteTable, RouterState, delete, flag, get, id,
    list, number, one_of, patch, post, text, whole,
};
use axum::extract::FromRef;

fn wanted() -> [RequestField; 5] {
    let time = |name, about| text(name, about).with("pattern", "^([01][0-9]|2[0-3]):[0-5][0-9]$");
    [
        flag("check_daily", "Check for releases once a day.").or(true),
        flag(
            "automatic",
            "Install new releases and switch to them automatically.",
        )
        .or(false),
        time("window_from", "Start of the time window, local time.").or("02:00"),
        time("window_to", "End of the time window, local time.").or("05:00"),
        text(
            "signed_by",
            "Minisign public key that releases must be signed with. `null`: none.",
        )
        .or_null(),
    ]
}

fn name() -> RequestField {
    text("name", "Name of an installed client.").like("0.6.0")
}

fn version(about: &'static str) -> RequestField {
    text("version", about).like("v0.8.0")
}

/// The operations.
pub fn routes<S>() -> RouteTable<S>
where
    S: RouterState,
    UpdateService: FromRef<S>,
{
    let file: &[&str] = &[
        "application/octet-stream",
        "application/gzip",
        "multipart/form-data",
    ];
    RouteTable::new()
.add(get("/updates", "getUpdates", "Returns installed clients, known releases and the update job in progress.")
            .gives::<UpdatesPage>(PAGE), routes::show)
.add(get("/updates/check", "checkUpdates", "Checks for releases and returns the result.")
            .gives::<ReleaseStatus>(PROGRAMS)
            .fails(&[409]), routes::check)
.add(post("/updates/check", "checkUpdatesByForm", "Same as GET, for forms.")
            .acts([])
            .gives::<ReleaseStatus>(PROGRAMS)
            .or_next_page()
            .fails(&[409]).for_operators().audited("checked for releases"), routes::look)
.add(get("/updates/all", "listUpdates", "Lists all releases and clients seen so far, newest first.")
            .asks([whole("limit", "Maximum number of results.", 1, 1000).or(1000), number("before", "Only results before this number.")])
            .gives::<ReleaseList>(PROGRAMS), routes::all)
.add(get("/updates/version", "getClientVersion", "Returns the client in use.").gives::<ClientInUse>(PROGRAMS), routes::version)
.add(get("/updates/history", "listUpdateHistory", "Lists update jobs, newest first.")
            .asks([whole("limit", "Maximum number of results.", 1, 1000).or(100), id("before", "Only jobs before this id.")])
            .gives::<HistoryPage>(PAGE), routes::history)
.add(get("/updates/releases/{name}", "getRelease", "Returns a release with its notes.")
            .named(text("name", "Release tag or client version.").like("v0.8.0"))
            .gives::<ReleasePage>(PAGE), routes::release)
.add(post("/updates/skip", "skipRelease", "Skips a release: it is neither offered nor installed automatically.")
            .takes([version("Release tag or client version.").required()])
            .does::<ReleaseSkipResponse>()
            .fails(&[404, 409]).for_operators().audited("skipped a release"), routes::skip)
.add(post("/updates/unskip", "unskipRelease", "Offers a skipped release again.")
            .takes([version("Release tag or client version.").required()])
            .does::<ReleaseSkipResponse>()
            .fails(&[404, 409]).for_operators().audited("offered a skipped release again"), routes::unskip)
.add(get("/updates/install", "askInstall", "Shows the confirmation page for an installation, for browsers.")
            .asks([version("Release to install. Default: the latest that can be installed here.")])
            .gives::<InstallPage>(PAGE)
            .fails(&[404, 409]).for_operators(), routes::ask_install)
.add(post("/updates/install", "installClient", "Installs a client from a release, a build or a file on this machine.")
            .may_take([
                version("Version to install. Default: the latest release that can be installed here."),
                one_of("source", "Source of the client.", &["release", "build", "file"]).or("release"),
                text("path", "With `file`: path of the client program or a release archive on this machine."),
                flag("accept_unverified", "Install a release even if it has no checksum.").or(false),
                flag("switch", "Switch instances to it afterward.").or(false),
            ])
            .begins::<JobStartResponse>()
            .fails(&[404, 409]).for_operators().audited("started installing a client"), routes::install)
.add(post("/updates/upload", "uploadClient", "Installs an uploaded client: the program, a release archive, or a client and its translator in one form.")
            .asks([
                text("name", "Name to display."),
                flag("switch", "Switch instances to it afterward.").or(false),
            ])
            .takes_file(file, [])
            .and_file("translator", "The translator for this client. Not allowed with a release archive.")
            .begins::<JobStartResponse>()
            .fails(&[409, 422]).for_admins().audited("uploaded a client").uploads(), routes::upload)
.add(get("/updates/switch", "askSwitch", "Shows the confirmation page for a switch, for browsers.")
            .asks([version("Name of an installed client.").like("0.6.0")])
            .gives::<SwitchPage>(PAGE)
            .fails(&[404, 409]).for_operators(), routes::ask_switch)
.add(post("/updates/switch", "switchClient", "Switches instances to an installed client, one at a time.")
            .takes([
                version("Name of the installed client.").like("0.6.0").required(),
                list("instances", "Ids of instances to switch and pin. Default: all instances that follow the version in use."),
            ])
            .more(gate_fields())
            .begins::<JobStartResponse>()
            .fails(&[404, 409]).for_operators().audited("started switching clients"), routes::switch)
.add(post("/updates/rollback", "rollBackClient", "Rolls instances back to the previous client.")
            .may_take([version("Name of an installed client. Default: the previous one.").like("0.5.0")])
            .more(gate_fields())
            .begins::<JobStartResponse>()
            .fails(&[404, 409]).for_operators().audited("started rolling back clients"), routes::rollback)
.add(get("/updates/jobs/{id}", "getJob", "Returns an update job.")
            .about("Event stream: sends `job` when it opens and after each change, until the job has finished.")
            .gives::<JobPage>(PAGE_OR_STREAM), routes::job)
.add(post("/updates/jobs/{id}/cancel", "cancelJob", "Cancels an update job.")
            .acts([])
            .does::<JobCancelResponse>()
            .fails(&[409]).for_operators().audited("canceled an update job"), routes::cancel)
.add(delete("/updates/installed/{name}", "removeClient", "Removes an installed client.")
            .named(name())
            .does::<MessageResponse>()
            .fails(&[409, 422]).for_admins().audited("removed a client"), routes::remove)
.add(get(
            "/updates/installed/{name}/delete",
            "askRemoveClient",
            "Shows the confirmation page for removing an installed client, for browsers.",
        )
        .named(name())
        .gives::<ConfirmPage<ClientRemoval>>(PAGE).for_admins(), routes::ask_remove)
.add(post("/updates/installed/{name}/delete", "removeClientByForm", "Same as DELETE, for forms.")
            .named(name())
            .acts([])
            .does::<MessageResponse>()
            .fails(&[409, 422]).for_admins().audited("removed a client"), routes::remove)
.add(patch("/updates/settings", "changeUpdateSettings", "Changes the given update settings.")
            .takes(wanted())
            .does::<UpdateSettingsResponse>().for_admins().audited("changed the update settings"), routes::settings)
.add(post("/updates/settings", "changeUpdateSettingsByForm", "Same as PATCH, for forms: an unchecked box means off.")
            .takes(wanted())
            .does::<UpdateSettingsResponse>().for_admins().audited("changed the update settings"), routes::settings)
}
