//! The subcommand `demo`: jd-manager with simulated clients and a temporary data directory, so that
//! people can try it without mining hardware. Every page shows that the clients are simulated.

use serde_json::json;
use std::os::unix::fs::DirBuilderExt;

use crate::base::actor::Actor;
use crate::base::error::{Error, Result};
use crate::domain::configs::ConfigDraft;
use crate::domain::instances::InstanceDraft;
use crate::domain::instances::ProgramSource;
use crate::domain::keys::KeyPair;
use crate::infra::free_ports::free_ports;
use crate::server::app;
use crate::server::settings::{OnShutdown, Settings};
use crate::server::state::AppState;
use crate::web::{PageFrame, RequestInput};

/// The instances of the demo: the name, and whether it has a pool.
const SHOWN: [(&str, bool); 3] = [("barn", true), ("garage", false), ("attic", false)];

/// Serves the demo.
///
/// # Errors
/// The reason why it cannot serve, for the person at the terminal.
pub async fn demo(mut settings: Settings) -> std::result::Result<(), String> {
    if settings.client.is_some() {
        return Err(
            "the demo runs simulated clients. Remove --client (or JD_MANAGER_CLIENT).".into(),
        );
    }
    // An unguessable name, and never an existing directory, because the directory is removed at the
    // end.
    let dir =
        std::env::temp_dir().join(format!("jd-manager-demo-{}", uuid::Uuid::new_v4().simple()));
    std::fs::DirBuilder::new()
        .mode(0o700)
        .create(&dir)
        .map_err(|e| {
            format!(
                "cannot create the directory {} for the demo: {e}",
                dir.display()
            )
        })?;
    settings.data_dir = dir.clone();
    settings.on_shutdown = OnShutdown::Stop;
    let client = ProgramSource::simulated(vec!["simulate".into()], &dir);
    let frame = PageFrame {
        simulated: true,
        version: env!("CARGO_PKG_VERSION"),
        ..PageFrame::default()
    };
    let ready = |state: AppState| async move {
        if let Err(e) = create_demo_data(&state).await {
            tracing::error!(error = %e, "the demo data is incomplete");
        }
    };
    let result = app::serve_with(settings, client, frame, ready).await;
    let _ = std::fs::remove_dir_all(dir);
    result
}

/// Saves configurations and instances, and starts all instances except the last.
async fn create_demo_data(state: &AppState) -> Result<()> {
    for (at, (name, is_pool)) in SHOWN.into_iter().enumerate() {
        let keys = KeyPair::generate().map_err(Error::internal)?;
        let pool_key = KeyPair::generate().map_err(Error::internal)?.public_key;
        let [listening, monitoring, v1] = free_ports()?;
        let translator =
            json!({ "enabled": is_pool, "listening_address": format!("127.0.0.1:{v1}") });
        let upstream = json!({
            "authority_pubkey": pool_key, "pool_address": "pool.example", "pool_port": 3333,
            "jds_address": "pool.example", "jds_port": 3334, "user_identity": "demo.worker",
        });
        let config = json!({
            "listening_address": format!("127.0.0.1:{listening}"), "monitoring_address": format!("127.0.0.1:{monitoring}"),
            "max_supported_version": 2, "min_supported_version": 2, "cert_validity_sec": 3600,
            "authority_public_key": keys.public_key, "authority_secret_key": keys.secret_key.reveal(),
            "shares_per_minute": 6.0, "share_batch_size": 10,
            "mode": if is_pool { "FULLTEMPLATE" } else { "SOLOMINING" },
            "jdc_signature": "demo", "coinbase_reward_script": "addr(tb1qpusf5256yxv50qt0pm0tue8k952fsu5lzsphft)",
            "upstreams": if is_pool { vec![upstream] } else { Vec::new() },
            "template_provider_type": { "Sv2Tp": { "address": "127.0.0.1:8442" } },
            "translator": translator,
        });
        let title = if is_pool {
            format!("{name}, with a pool")
        } else {
            format!("{name}, solo")
        };
        let draft = ConfigDraft::of(RequestInput {
            value: json!({ "name": title, "config": config }),
            form: None,
        })?;
        let saved = state.configs.create(draft).await?;
        let wishes = InstanceDraft {
            name: Some(name.into()),
            config_id: Some(saved.config_id),
            ..InstanceDraft::default()
        };
        let id = state.instances.create(wishes).await?;
        if at < 2 {
            state.instances.start(id, &Actor::manager("demo")).await?;
        }
    }
    Ok(())
}
