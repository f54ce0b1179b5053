//! The routes of saved configurations: operation, role, audit text and handler of each.

use super::routes;
use super::service::ConfigService;
use axum::extract::FromRef;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::json;

use super::config_view::{ConfigChangeResult, ConfigValidation};
use super::model::ClientConfig;
use super::views::form::ConfigFormPage;
use super::views::import::ImportPage;
use super::views::revisions::{RevisionComparePage, RevisionsPage};
use super::views::secret::{AskSecretPage, SecretPage};
use super::views::show::ShowPage;
use super::views::{ConfigListPage, ConfigRemoval, TomlPage};
use crate::web::ConfirmPage;
use crate::web::openapi::{
    PAGE, RequestField, RouteTable, RouterState, delete, flag, get, member, number, object, one_of,
    post, put, text, whole,
};

/// A configuration as it is sent.
struct ConfigBody;

impl JsonSchema for ConfigBody {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ConfigurationToSave".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = object(&outer());
        let config = generator.subschema_for::<ClientConfig>();
        let about = "Whole. Older shapes are taken, too; numbers may be texts.";
        schema
            .as_object_mut()
            .and_then(|all| all.get_mut("properties")?.as_object_mut())
            .map(|properties| {
                properties.insert(
                    "config".into(),
                    json!({ "allOf": [config], "description": about }),
                )
            });
        schema.insert("required".into(), json!(["config"]));
        schema
    }
}

fn outer() -> [RequestField; 3] {
    [
        text(
            "name",
            "Its name, unique whatever the case; a new one needs it, without it the former stays.",
        )
        .longest(64)
        .like("Home, solo"),
        text("description", "What is said about it.").with("maxLength", 1000),
        whole(
            "revision",
            "The revision you had before you: a change by somebody else in between is 409.",
            1,
            i32::MAX.into(),
        ),
    ]
}

/// The fields of the form, flat.
fn form() -> Vec<RequestField> {
    let flat = [
        "listening_address",
        "mode",
        "coinbase_reward_script",
        "authority_public_key",
        "upstreams.0.pool_address",
        "template_provider",
    ];
    let of = |name| {
        text(
            name,
            "As in the configuration, under a flat name; so are all others.",
        )
    };
    outer().into_iter().chain(flat.map(of)).collect()
}

fn version(name: &'static str, about: &'static str) -> RequestField {
    text(name, about)
        .like("0.6.0")
        .with("pattern", "^[0-9]+\\.[0-9]+\\.[0-9]+$")
}

/// The operations.
pub fn routes<S>() -> RouteTable<S>
where
    S: RouterState,
    ConfigService: FromRef<S>,
{
    let sent = crate::web::openapi::shape::<ConfigBody>();
    RouteTable::new()
.add(get("/saved-configs", "listConfigurations", "Lists the saved configurations, newest first.")
            .asks([
                whole("limit", "At most so many.", 1, 1000).or(1000),
                whole("offset", "Without the first so many.", 0, u32::MAX.into()).or(0),
                text("q", "Only those that hold this text, whatever the case."),
            ])
            .gives::<ConfigListPage>(PAGE), routes::list)
.add(post("/saved-configs", "createConfiguration", "Saves a new configuration.")
            .takes_shape(sent, form())
            .makes::<ConfigChangeResult>()
            .fails(&[409]).for_admins().audited("saved a configuration"), routes::create)
.add(get("/saved-configs/new", "showNewConfiguration", "The form of a new configuration, for people.").gives::<ConfigFormPage>(PAGE), routes::new)
.add(get("/saved-configs/active", "getActiveConfiguration", "The active configuration.").gives::<ShowPage>(PAGE).fails(&[404]), routes::active)
.add(post("/saved-configs/check", "checkConfiguration", "Says what there is to say about a new configuration and saves nothing.")
            .takes_shape(sent, form())
            .gives::<ConfigValidation>(PAGE).for_viewers(), routes::check)
.add(get("/saved-configs/import", "showImport", "The form for a client's file, for people.").gives::<ImportPage>(PAGE), routes::ask_import)
.add(post("/saved-configs/import", "importConfiguration", "Saves a client's file of any version as a configuration.")
            .asks([
                text("name", "Its name, where the file is the body itself.").like("From a file"),
                flag("solo", "For solo mining, where the file is the body itself.").or(false),
            ])
            .takes_file(
                &["application/toml", "text/x-toml", "text/plain", "application/octet-stream"],
                [
                    text("toml", "The text of the file.").required(),
                    text("name", "Its name; without it one is made up.").longest(64),
                    text("description", "What is said about it.").with("maxLength", 1000),
                    flag("fresh_keys", "A new pair of keys takes the place of the file's.").or(false),
                    flag("solo", "It is imported for solo mining, whatever its mode.").or(false),
                ],
            )
            .makes::<ConfigChangeResult>()
            .fails(&[409]).for_admins().audited("imported a configuration"), routes::import)
.add(get("/saved-configs/{id}", "getConfiguration", "A saved configuration.").gives::<ShowPage>(PAGE), routes::show)
.add_with_form(put("/saved-configs/{id}", "changeConfiguration", "Saves a configuration as the newest revision.")
            .about("A secret key that is masked, empty or absent stays, as long as the public key stays. Clients that run take it up when they are next started.")
            .takes_shape(sent, form())
            .does::<ConfigChangeResult>()
            .fails(&[409]).for_admins().audited("changed a configuration"), routes::update, "/saved-configs/{id}")
.add_with_form(delete("/saved-configs/{id}", "deleteConfiguration", "Deletes a configuration with all its revisions.").does::<ConfigChangeResult>().fails(&[409]).for_admins().audited("deleted a configuration"), routes::delete, "/saved-configs/{id}/delete")
.add(post("/saved-configs/{id}/check", "checkSavedConfiguration", "Says what there is to say about what would take its place and saves nothing.")
            .takes_shape(sent, form())
            .gives::<ConfigValidation>(PAGE).for_viewers(), routes::check_saved)
.add(get("/saved-configs/{id}/edit", "showEditConfiguration", "The form of a configuration, for people.").gives::<ConfigFormPage>(PAGE), routes::edit)
.add(get("/saved-configs/{id}/delete", "askDeleteConfiguration", "The question before a configuration is deleted, for people.").gives::<ConfirmPage<ConfigRemoval>>(PAGE), routes::ask_delete)
.add(post("/saved-configs/{id}/duplicate", "duplicateConfiguration", "Copies a configuration, keys included, on ports of its own.").makes::<ConfigChangeResult>().fails(&[409]).for_admins().audited("duplicated a configuration"), routes::duplicate)
.add(post("/saved-configs/{id}/set-active", "setActiveConfiguration", "Makes a configuration the active one and no other.")
            .acts([text("next", "The page a browser is sent to afterwards, a path on this site.").like("/saved-configs")])
            .does::<ConfigChangeResult>().for_admins().audited("made a configuration the active one"), routes::set_active)
.add(get("/saved-configs/{id}/toml", "getConfigurationFile", "The file as a client will get it, with the secret masked.")
            .asks([version("client_version", "The client it is written for.").or("0.6.0"), version("against", "Beside the file for this client.")])
            .answer(200, "The file.", &["application/json", "text/html", "text/plain"], Some(crate::web::openapi::shape::<TomlPage>())), routes::toml)
.add(get("/saved-configs/{id}/export", "exportConfiguration", "The file to be taken elsewhere, complete, with the secret masked.").gives_file(&["application/toml"]), routes::export)
.add(post("/saved-configs/{id}/export", "exportConfigurationWhole", "The same file, with the secret key if that is asked for.")
            .asks([one_of("secret", "With it; as a form it may be in the body.", &["include"])])
            .acts([one_of("secret", "With it.", &["include"])])
            .gives_file(&["application/toml"]).for_admins().audited("exported a configuration, with its secret key if that was asked for"), routes::export_whole)
.add(get("/saved-configs/{id}/secret", "askSecret", "The question before a secret key is shown, for people.").gives::<AskSecretPage>(PAGE).for_admins(), routes::ask_secret)
.add(post("/saved-configs/{id}/secret", "showSecret", "Shows the pair of keys of a configuration in plain text.").gives::<SecretPage>(PAGE).for_admins().audited("looked at the secret key of a configuration"), routes::secret)
.add(get("/saved-configs/{id}/compare", "compareRevisions", "What differs between two revisions of a configuration.")
            .asks([
                whole("from", "The former; without it the one before.", 1, i32::MAX.into()),
                whole("to", "The latter; without it the newest.", 1, i32::MAX.into()),
                version("client_version", "The client the files are written for.").or("0.6.0"),
            ])
            .gives::<RevisionComparePage>(PAGE), routes::compare)
.add(get("/saved-configs/{id}/revisions", "listRevisions", "The revisions of a configuration, newest first.")
            .asks([whole("limit", "At most so many.", 1, 1000).or(50), whole("before", "Those before this revision.", 1, i32::MAX.into())])
            .gives::<RevisionsPage>(PAGE), routes::revisions)
.add(post("/saved-configs/{id}/revisions/{n}/restore", "restoreRevision", "Saves a former revision as the newest one.")
            .named(number("n", "The number of the revision.").like(1))
            .does::<ConfigChangeResult>()
            .fails(&[409, 422]).for_admins().audited("restored a revision"), routes::restore)
}

/// A configuration alone, in any of its shapes.
pub fn alone() -> RequestField {
    member(
        "config",
        "The configuration; it may as well be the body itself.",
        json!({ "type": "object" }),
    )
}
