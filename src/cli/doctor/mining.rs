//! Checks of what an instance needs: a client, a template provider, pools, and a configuration that
//! pays the right address.

use futures_util::future::join_all;

use super::report::DoctorCheck;
use crate::base::ids::InstanceId;
use crate::domain::configs::{ClientConfig, SurveyedConfig, judged, probe_peers};
use crate::domain::instances::{PortHolder, ProgramSource, first_taken};
use crate::programs::bitcoin_core::{NodeStatus, socket_check};
use crate::programs::sv2_peer::{PeerRole, PeerTarget, probe};
use crate::server::settings::Settings;

/// The address that setup suggests for a template provider.
const USUAL_PROVIDER: (&str, u16) = ("127.0.0.1", 8442);

/// Whether a client is installed and runs here.
pub async fn check_client(settings: &Settings) -> DoctorCheck {
    const ID: &str = "client";
    const TITLE: &str = "Client";
    let source = ProgramSource::new(settings.client.clone(), &settings.data_dir)
        .with_translator(settings.translator.clone());
    match source.program(None).await {
        Ok(program) => {
            let with = match &program.translator {
                Some(_) => "with a translator for Stratum V1 miners",
                None => "without a translator for Stratum V1 miners",
            };
            DoctorCheck::ok(
                ID,
                TITLE,
                format!(
                    "Version {} at {}, {with}.",
                    program.version,
                    program.path.display()
                ),
            )
        }
        Err(_) if source.fixed().is_none() && source.current().is_none() => {
            DoctorCheck::warning(ID, TITLE, "No client is installed yet.").with_fix("Install one under Updates, or start jd-manager with --client and the path of a jd_client_sv2 program.")
        }
        Err(e) => DoctorCheck::error(ID, TITLE, e.to_string())
            .with_fix("Install a client under Updates, or correct --client."),
    }
}

/// Whether there is a template provider for the first instance. Tries the usual places.
pub async fn check_usual_providers() -> DoctorCheck {
    const ID: &str = "template-provider";
    const TITLE: &str = "Template provider";
    let node = tokio::task::spawn_blocking(|| socket_check::check(None, None)).await;
    let (host, port) = USUAL_PROVIDER;
    let target = PeerTarget::new(PeerRole::TemplateProvider, host, port);
    match node {
        Ok(node) if node.status == NodeStatus::Connected => {
            DoctorCheck::ok(ID, TITLE, node.detail)
        }
        _ if probe(&target).await.is_answer() => {
            DoctorCheck::ok(ID, TITLE, format!("A template provider responds at {host}:{port}."))
        }
        Ok(node) => DoctorCheck::warning(
            ID,
            TITLE,
            format!("{} No template provider responds at {host}:{port} either.", node.detail),
        )
        .with_fix(format!(
            "Use Bitcoin Core 30 or 31 with its socket, or a template provider such as sv2-tp. You can also enter the address of a template provider on another machine in setup.\n{}",
            node.advice
        )),
        Err(e) => DoctorCheck::skipped(ID, TITLE, format!("Not tested: {e}.")),
    }
}

/// The checks of all saved configurations. Tests their servers at the same time.
pub async fn check_configs(configs: &[SurveyedConfig]) -> Vec<DoctorCheck> {
    let all = configs.iter().map(|saved| async move {
        let name = format!("Configuration \"{}\"", saved.name);
        let Some(config) = &saved.config else {
            return vec![
                DoctorCheck::error("configuration", &name, "Cannot be read.")
                    .with_fix("Delete it, or restore a backup."),
            ];
        };
        let mut checks = vec![check_values(&name, config)];
        checks.extend(check_ports(&name, config, &saved.instances));
        checks.extend(check_servers(&name, config).await);
        checks
    });
    join_all(all).await.into_iter().flatten().collect()
}

/// The payout address and every other value.
fn check_values(name: &str, config: &ClientConfig) -> DoctorCheck {
    const ID: &str = "configuration";
    let found = judged(config);
    let list = |found: &[crate::base::error::FieldError]| {
        let texts: Vec<String> = found
            .iter()
            .map(|one| one.page_text().into_owned())
            .collect();
        texts.join("\n")
    };
    let fix = format!(
        "Edit the {}{} on the page.",
        name[..1].to_lowercase(),
        &name[1..]
    );
    if !found.errors.is_empty() {
        DoctorCheck::error(ID, name, list(&found.errors)).with_fix(fix)
    } else if !found.warnings.is_empty() {
        DoctorCheck::warning(ID, name, list(&found.warnings)).with_fix(fix)
    } else {
        DoctorCheck::ok(ID, name, "Payout address and all other values are valid.")
    }
}

/// The first port that a program uses which is no client of jd-manager; none: all are free, or no
/// instance uses the configuration.
fn check_ports(name: &str, config: &ClientConfig, instances: &[InstanceId]) -> Option<DoctorCheck> {
    let own = *instances.first()?;
    let mut wanted = vec![("miners", config.listening_address)];
    wanted.extend(
        config
            .monitoring_address
            .map(|address| ("monitoring", address)),
    );
    let translator = config.enabled_translator();
    wanted.extend(translator.map(|translator| ("Stratum V1 miners", translator.listening_address)));
    let taken = first_taken(&wanted, own)?;
    if matches!(taken.holder, PortHolder::Instance(_)) {
        return None;
    }
    let port = taken.address.port();
    let free = taken
        .free
        .map(|port| format!(" Port {port} is free."))
        .unwrap_or_default();
    Some(
        DoctorCheck::error(
            "miner-port",
            name,
            format!(
                "Port {port} for {} is already in use by {}.",
                taken.purpose, taken.holder
            ),
        )
        .with_fix(format!(
            "Choose another port in the configuration, or stop that program.{free}"
        )),
    )
}

/// The template provider, pools and job declaration servers. Without its template provider a client
/// exits; a pool may be down for a while.
async fn check_servers(name: &str, config: &ClientConfig) -> Vec<DoctorCheck> {
    let tried = probe_peers(config).await;
    tried
        .into_iter()
        .map(|peer| {
            let is_pool = peer.what.starts_with("Pool") || peer.what.starts_with("Job declaration");
            let id = if is_pool { "pool" } else { "template-provider" };
            let title = format!(
                "{} of {}{}",
                peer.what,
                name[..1].to_lowercase(),
                &name[1..]
            );
            let detail = format!("{}: {}", peer.place, peer.detail);
            match (peer.listens, is_pool) {
                (true, _) => DoctorCheck::ok(id, &title, detail),
                (false, true) => DoctorCheck::warning(id, &title, detail),
                (false, false) => DoctorCheck::error(id, &title, detail),
            }
        })
        .collect()
}
