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
        flag("check_daily", "Releases are looked for once a day.").or(true),
        flag(
            "automatic",
            "A new release is installed and switched to by itself.",
        )
        .or(false),
        time("window_from", "Between this time of the machine's day").or("02:00"),
        time("window_to", "and this one.").or("05:00"),
        text(
            "signed_by",
            "The minisign public key that releases have to be signed with; null: none.",
        )
        .or_null(),
    ]
}

fn name() -> RequestField {
    text("name", "The name of an installed client.").like("0.6.0")
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
.add(get("/updates", "getUpdates", "What there is of clients: installed ones, releases, work under way.")
            .gives::<UpdatesPage>(PAGE), routes::show)
.add(get("/updates/check", "checkUpdates", "Looks for releases and tells what there is.")
            .gives::<ReleaseStatus>(PROGRAMS)
            .fails(&[409]), routes::check)
.add(post("/updates/check", "checkUpdatesByForm", "The same as GET, for forms.")
            .acts([])
            .gives::<ReleaseStatus>(PROGRAMS)
            .or_next_page()
            .fails(&[409]).for_operators().audited("looked for releases"), routes::look)
.add(get("/updates/all", "listUpdates", "Every release and client that was ever heard of, newest first.")
            .asks([whole("limit", "At most so many.", 1, 1000).or(1000), number("before", "Those before this one.")])
            .gives::<ReleaseList>(PROGRAMS), routes::all)
.add(get("/updates/version", "getClientVersion", "The client in use.").gives::<ClientInUse>(PROGRAMS), routes::version)
.add(get("/updates/history", "listUpdateHistory", "What was done about clients, newest first.")
            .asks([whole("limit", "At most so many.", 1, 1000).or(100), id("before", "Those before this piece of work.")])
            .gives::<HistoryPage>(PAGE), routes::history)
.add(get("/updates/releases/{name}", "getRelease", "A release with its notes.")
            .named(text("name", "Its tag, or the version of the client that it carries.").like("v0.8.0"))
            .gives::<ReleasePage>(PAGE), routes::release)
.add(post("/updates/skip", "skipRelease", "Skips a release: it is neither offered nor installed automatically.")
            .takes([version("Which release: its tag, or the version of its client.").required()])
            .does::<ReleaseSkipResponse>()
            .fails(&[404, 409]).for_operators().audited("skipped a release"), routes::skip)
.add(post("/updates/unskip", "unskipRelease", "Offers a skipped release again.")
            .takes([version("Which release: its tag, or the version of its client.").required()])
            .does::<ReleaseSkipResponse>()
            .fails(&[404, 409]).for_operators().audited("offered a skipped release again"), routes::unskip)
.add(get("/updates/install", "askInstall", "The question before an installation, for people.")
            .asks([version("Which release; without it the newest that can be installed here.")])
            .gives::<InstallPage>(PAGE)
            .fails(&[404, 409]), routes::ask_install)
.add(post("/updates/install", "installClient", "Installs a client: a release, one that is built, or a file on this machine.")
            .may_take([
                version("Which; without it the newest release that can be installed here."),
                one_of("source", "Where it comes from.", &["release", "build", "file"]).or("release"),
                text("path", "With `file`: the client program, or a release's archive, on this machine."),
                flag("accept_unverified", "A release that gives no checksum is taken all the same.").or(false),
                flag("switch", "Instances are switched to it afterwards.").or(false),
            ])
            .begins::<JobStartResponse>()
            .fails(&[404, 409]).for_operators().audited("began to install a client"), routes::install)
.add(post("/updates/upload", "uploadClient", "Installs a client that is sent: the program, or a release's archive.")
            .asks([
                text("name", "What it is called, for people."),
                flag("switch", "Instances are switched to it afterwards.").or(false),
            ])
            .takes_file(file, [])
            .begins::<JobStartResponse>()
            .fails(&[409, 422]).for_admins().audited("uploaded a client").uploads(), routes::upload)
.add(get("/updates/switch", "askSwitch", "The question before a switch, for people.")
            .asks([version("To which installed client.").like("0.6.0")])
            .gives::<SwitchPage>(PAGE)
            .fails(&[404, 409]), routes::ask_switch)
.add(post("/updates/switch", "switchClient", "Takes instances to an installed client, one after the other.")
            .takes([
                version("Its name in the store.").like("0.6.0").required(),
                list("instances", "These, which are then pinned to it; left out: all that follow the version in use."),
            ])
            .more(gate_fields())
            .begins::<JobStartResponse>()
            .fails(&[404, 409]).for_operators().audited("began to switch clients"), routes::switch)
.add(post("/updates/rollback", "rollBackClient", "Takes instances back to the client that was in use before.")
            .may_take([version("To which installed client; without it the one before.").like("0.5.0")])
            .more(gate_fields())
            .begins::<JobStartResponse>()
            .fails(&[404, 409]).for_operators().audited("went back to the client before"), routes::rollback)
.add(get("/updates/jobs/{id}", "getJob", "A piece of work on clients.")
            .about("As an event stream: an event `job` at the opening and as it changes, until it is over.")
            .gives::<JobPage>(PAGE_OR_STREAM), routes::job)
.add(post("/updates/jobs/{id}/cancel", "cancelJob", "Ends a piece of work soon.")
            .acts([])
            .does::<JobCancelResponse>()
            .fails(&[409]).for_operators().audited("cancelled a piece of work"), routes::cancel)
.add(delete("/updates/installed/{name}", "removeClient", "Removes an installed client.")
            .named(name())
            .does::<MessageResponse>()
            .fails(&[409, 422]).for_admins().audited("removed a client"), routes::remove)
.add(get(
            "/updates/installed/{name}/delete",
            "askRemoveClient",
            "The question before an installed client is removed, for people.",
        )
        .named(name())
        .gives::<ConfirmPage<ClientRemoval>>(PAGE), routes::ask_remove)
.add(post("/updates/installed/{name}/delete", "removeClientByForm", "The same as DELETE, for forms.")
            .named(name())
            .acts([])
            .does::<MessageResponse>()
            .fails(&[409, 422]).for_admins().audited("removed a client"), routes::remove)
.add(patch("/updates/settings", "changeUpdateSettings", "Changes what is mentioned of what is wanted of updates.")
            .takes(wanted())
            .does::<UpdateSettingsResponse>().for_admins().audited("changed the settings of updates"), routes::settings)
.add(post("/updates/settings", "changeUpdateSettingsByForm", "The same as PATCH, for forms: what is not ticked is off.")
            .takes(wanted())
            .does::<UpdateSettingsResponse>().for_admins().audited("changed the settings of updates"), routes::settings)
}
