//! The routes of saved configurations: operation, role, audit text and handler of each.

use super::service::ConfigService;
use super::{import_routes, routes};
use axum::extract::FromRef;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::json;

use super::config_view::{ConfigChangeResult, ConfigValidation};
use super::model::ClientConfig;
use super::translator_import::TranslatorImportResult;
use super::views::form::ConfigFormPage;
use super::views::import::ImportPage;
use super::views::revisions::{RevisionComparePage, RevisionsPage};
use super::views::secret::{AskSecretPage, SecretPage};
use super::views::show::ShowPage;
use super::views::{ConfigListPage, ConfigRemoval, TomlPage, TranslatorFilePage};
use crate::web::ConfirmPage;
use crate::web::openapi::{
    PAGE, RequestField, RouteTable, RouterState, delete, flag, get, id, member, number, object,
    one_of, post, put, text, whole,
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
        let about =
            "The complete configuration. Older formats are accepted; numbers can be strings.";
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

/// The file for one of the two programs.
struct ConfigFileBody;

impl JsonSchema for ConfigFileBody {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ProgramFile".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let files = [
            generator.subschema_for::<TomlPage>(),
            generator.subschema_for::<TranslatorFilePage>(),
        ];
        schemars::json_schema!({ "anyOf": files })
    }
}

/// The media types of a file.
const FILE_TYPES: &[&str] = &[
    "application/toml",
    "text/x-toml",
    "text/plain",
    "application/octet-stream",
];

fn program() -> RequestField {
    one_of(
        "program",
        "The program that the file is for. The translator's file is the same for all versions.",
        &["client", "translator"],
    )
    .or("client")
}

fn outer() -> [RequestField; 3] {
    [
        text(
            "name",
            "The name, unique regardless of case. Required for a new configuration; if absent, the current name is kept.",
        )
        .longest(64)
        .like("Home, solo"),
        text("description", "A description.").with("maxLength", 1000),
        whole(
            "revision",
            "The revision that you changed. If there is a newer one, the response is 409.",
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
            "Same as in the configuration, with a flat name. All other fields follow the same pattern.",
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
                whole("limit", "Maximum number of entries.", 1, 1000).or(1000),
                whole("offset", "Number of entries to skip.", 0, u32::MAX.into()).or(0),
                text("q", "Only configurations that contain this text, ignoring case."),
            ])
            .gives::<ConfigListPage>(PAGE), routes::list)
.add(post("/saved-configs", "createConfiguration", "Saves a new configuration.")
            .takes_shape(sent, form())
            .makes::<ConfigChangeResult>()
            .fails(&[409]).for_admins().audited("saved a configuration"), routes::create)
.add(get("/saved-configs/new", "showNewConfiguration", "Shows the form for a new configuration, for browsers.").gives::<ConfigFormPage>(PAGE).for_admins(), routes::new)
.add(get("/saved-configs/active", "getActiveConfiguration", "Returns the active configuration.").gives::<ShowPage>(PAGE).fails(&[404]), routes::active)
.add(post("/saved-configs/check", "checkConfiguration", "Checks a new configuration without saving it.")
            .takes_shape(sent, form())
            .gives::<ConfigValidation>(PAGE).for_viewers(), routes::check)
.add(get("/saved-configs/import", "showImport", "Shows the form to import a client configuration file, for browsers.").gives::<ImportPage>(PAGE).for_admins(), import_routes::ask_import)
.add(post("/saved-configs/import", "importConfiguration", "Imports a client configuration file of any version.")
            .asks([
                text("name", "If the body is the file itself: the name.").like("From a file"),
                flag("solo", "If the body is the file itself: import for solo mining.").or(false),
            ])
            .takes_file(
                FILE_TYPES,
                [
                    text("toml", "The contents of the file.").required(),
                    text("name", "The name. By default, jd-manager chooses one.").longest(64),
                    text("description", "A description.").with("maxLength", 1000),
                    flag("fresh_keys", "Create a new key pair instead of using the file's keys.").or(false),
                    flag("solo", "Import for solo mining and ignore the file's mode.").or(false),
                ],
            )
            .makes::<ConfigChangeResult>()
            .fails(&[409]).for_admins().audited("imported a configuration"), import_routes::import)
.add(post("/saved-configs/import/translator", "importTranslatorFile", "Adds the settings in a translator configuration file to a saved configuration, as a new revision.")
            .about("Existing settings for Stratum V1 miners are replaced. jd-manager derives the other values of the file from the client's settings; `not_imported` lists them.")
            .asks([id("config_id", "If the body is the file itself: the id of the configuration.")])
            .takes_file(
                FILE_TYPES,
                [
                    text("toml", "The contents of the file.").required(),
                    id("config_id", "Id of the configuration.").required(),
                ],
            )
            .does::<TranslatorImportResult>()
            .fails(&[404]).for_admins().audited("added a translator file to a configuration"), import_routes::import_translator)
.add(get("/saved-configs/{id}", "getConfiguration", "Returns a saved configuration.").gives::<ShowPage>(PAGE), routes::show)
.add_with_form(put("/saved-configs/{id}", "changeConfiguration", "Saves a configuration as a new revision.")
            .about("If the secret key is masked, empty or absent and the public key does not change, the stored secret key is kept. Running clients will apply the change at their next start.")
            .takes_shape(sent, form())
            .does::<ConfigChangeResult>()
            .fails(&[409]).for_admins().audited("changed a configuration"), routes::update, "/saved-configs/{id}")
.add_with_form(delete("/saved-configs/{id}", "deleteConfiguration", "Deletes a configuration and all its revisions.").does::<ConfigChangeResult>().fails(&[409]).for_admins().audited("deleted a configuration"), routes::delete, "/saved-configs/{id}/delete")
.add(post("/saved-configs/{id}/check", "checkSavedConfiguration", "Checks a change to a configuration without saving it.")
            .takes_shape(sent, form())
            .gives::<ConfigValidation>(PAGE).for_viewers(), routes::check_saved)
.add(get("/saved-configs/{id}/edit", "showEditConfiguration", "Shows the form to edit a configuration, for browsers.").gives::<ConfigFormPage>(PAGE).for_admins(), routes::edit)
.add(get("/saved-configs/{id}/delete", "askDeleteConfiguration", "Shows the confirmation page for deleting a configuration, for browsers.").gives::<ConfirmPage<ConfigRemoval>>(PAGE).for_admins(), routes::ask_delete)
.add(post("/saved-configs/{id}/duplicate", "duplicateConfiguration", "Copies a configuration, including its keys, with new ports.").makes::<ConfigChangeResult>().fails(&[409]).for_admins().audited("duplicated a configuration"), routes::duplicate)
.add(post("/saved-configs/{id}/set-active", "setActiveConfiguration", "Makes a configuration the active one.")
            .acts([text("next", "The page that the browser shows next, as a path on this site.").like("/saved-configs")])
            .does::<ConfigChangeResult>().for_admins().audited("made a configuration active"), routes::set_active)
.add(get("/saved-configs/{id}/toml", "getConfigurationFile", "Returns the client configuration file with the secret key masked, or the translator configuration file.")
            .asks([program(), version("client_version", "The client version to write the file for.").or("0.6.0"), version("against", "A client version to compare with.")])
            .answer(200, "The file.", &["application/json", "text/html", "text/plain"], Some(crate::web::openapi::shape::<ConfigFileBody>())).fails(&[409]), routes::toml)
.add(get("/saved-configs/{id}/export", "exportConfiguration", "Exports the full configuration file with the secret key masked, or the translator configuration file.").asks([program()]).fails(&[409]).gives_file(&["application/toml"]), routes::export)
.add(post("/saved-configs/{id}/export", "exportConfigurationWhole", "Exports the full configuration file, optionally with the secret key.")
            .asks([one_of("secret", "`include`: export the secret key. A form can send it in the body.", &["include"])])
            .acts([one_of("secret", "`include`: export the secret key.", &["include"])])
            .gives_file(&["application/toml"]).for_admins().audited("exported a configuration, possibly with its secret key"), routes::export_whole)
.add(get("/saved-configs/{id}/secret", "askSecret", "Shows the confirmation page for viewing a secret key, for browsers.").gives::<AskSecretPage>(PAGE).for_admins(), routes::ask_secret)
.add(post("/saved-configs/{id}/secret", "showSecret", "Returns the key pair of a configuration in plain text.").gives::<SecretPage>(PAGE).for_admins().audited("viewed the secret key of a configuration"), routes::secret)
.add(get("/saved-configs/{id}/compare", "compareRevisions", "Compares two revisions of a configuration.")
            .asks([
                whole("from", "The older revision. Defaults to the one before `to`.", 1, i32::MAX.into()),
                whole("to", "The newer revision. Defaults to the newest.", 1, i32::MAX.into()),
                version("client_version", "The client version to write the files for.").or("0.6.0"),
            ])
            .gives::<RevisionComparePage>(PAGE), routes::compare)
.add(get("/saved-configs/{id}/revisions", "listRevisions", "Lists the revisions of a configuration, newest first.")
            .asks([whole("limit", "Maximum number of entries.", 1, 1000).or(50), whole("before", "Only revisions before this one.", 1, i32::MAX.into())])
            .gives::<RevisionsPage>(PAGE), routes::revisions)
.add(post("/saved-configs/{id}/revisions/{n}/restore", "restoreRevision", "Saves an older revision as a new revision.")
            .named(number("n", "The revision number.").like(1))
            .does::<ConfigChangeResult>()
            .fails(&[409, 422]).for_admins().audited("restored a revision"), routes::restore)
}

/// A configuration alone, in any of its shapes.
pub fn alone() -> RequestField {
    member(
        "config",
        "The configuration. It can also be the body itself.",
        json!({ "type": "object" }),
    )
}
