//! Handlers of `/hosts`.

use axum::extract::{Path, State};
use axum::http::StatusCode;

use super::model::suggested_name;
use super::responses::HostAddedResponse;
use super::service::HostService;
use super::setup::HostSetup;
use super::views::{HostPage, HostRow, HostsPage, ManagerIdentity, removal_page};
use crate::base::clock::Timestamp;
use crate::base::error::{Error, FieldError, Result};
use crate::domain::access::views::FormInput;
use crate::programs::openssh::SshDestination;
use crate::web::extract::{EmptyForm, MemberReader};
use crate::web::{
    ChangeResponse, MessageResponse, Reply, Representation, RequestContext, RequestInput,
};

const HERE: &str = "/hosts";

fn page(hosts: &HostService, again: FormInput) -> HostsPage {
    let manager = ManagerIdentity {
        id: hosts.id().to_owned(),
        version: env!("CARGO_PKG_VERSION"),
        time: Timestamp::now(),
    };
    HostsPage::new(hosts.list(), manager, again)
}

/// `GET /hosts`.
pub async fn list(State(hosts): State<HostService>, want: RequestContext) -> Reply {
    want.respond(&page(&hosts, FormInput::default()))
}

/// `POST /hosts`.
pub async fn add(
    State(hosts): State<HostService>,
    want: RequestContext,
    input: RequestInput,
) -> Reply {
    let added = match wanted(input.value) {
        Ok((name, address)) => hosts.add(name, address).await,
        Err(error) => Err(error),
    };
    let (host, state) = match added {
        Ok(added) => added,
        Err(error) if want.form == Representation::Html => {
            let (status, errors) = match error {
                Error::Invalid(errors) => (StatusCode::UNPROCESSABLE_ENTITY, errors),
                Error::Conflict(detail) => {
                    (StatusCode::CONFLICT, vec![FieldError::new("/name", detail)])
                }
                other => return Err(other.into()),
            };
            let given = input.form.unwrap_or_default();
            return want.respond_with(status, &page(&hosts, FormInput { given, errors }));
        }
        Err(error) => return Err(error.into()),
    };
    let setup = HostSetup::of(hosts.ssh(), &host.address).await;
    let row = HostRow::new(host, state);
    let at = format!("{HERE}/{}", row.name);
    let message = match row.status.is_reachable() {
        true => format!("Host {} was added.", row.name),
        false => format!(
            "Host {} was added, but it does not work yet: {}.",
            row.name,
            row.status.text()
        ),
    };
    let json = HostAddedResponse {
        message,
        host: row,
        setup,
    };
    ChangeResponse::new(json, at.clone())
        .created(at)
        .respond(&want)
}

/// The name and the address. Without a name, the address suggests one.
fn wanted(value: serde_json::Value) -> Result<(String, SshDestination)> {
    let mut members = MemberReader::of(value, Vec::new())?;
    let name = members.text("name").unwrap_or_default();
    let address = members.text("address").unwrap_or_default();
    let address = match address.trim().parse::<SshDestination>() {
        Ok(address) => Some(address),
        Err(detail) => {
            members.refuse("address", detail);
            None
        }
    };
    let value = address.map(|address| match name.trim() {
        "" => (suggested_name(&address), address),
        name => (name.to_owned(), address),
    });
    members.finish(value)
}

/// `GET /hosts/{name}`.
pub async fn show(
    State(hosts): State<HostService>,
    Path(name): Path<String>,
    want: RequestContext,
) -> Reply {
    let (host, state) = hosts.get(&name)?;
    let setup = HostSetup::of(hosts.ssh(), &host.address).await;
    want.respond(&HostPage::new(HostRow::new(host, state), setup))
}

/// `GET /hosts/{name}/delete`: the confirmation page.
pub async fn ask_remove(
    State(hosts): State<HostService>,
    Path(name): Path<String>,
    want: RequestContext,
) -> Reply {
    want.respond(&removal_page(hosts.get(&name)?.0))
}

/// `DELETE /hosts/{name}`, and `POST /hosts/{name}/delete` for forms.
pub async fn remove(
    State(hosts): State<HostService>,
    Path(name): Path<String>,
    want: RequestContext,
    _: EmptyForm,
) -> Reply {
    let host = hosts.remove(&name).await?;
    let json = MessageResponse::new(format!("Host {} was removed.", host.name));
    ChangeResponse::new(json, HERE).respond(&want)
}
