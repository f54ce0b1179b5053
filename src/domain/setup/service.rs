//! The use cases of setup: start, answer step by step, save and start the instance.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::queries::{self, SetupRow};
use super::responses::{SetupAction, SetupAnswers, SetupEdit, SetupResult};
use super::step::SetupStep;
use super::validate::{CompleteSetup, SetupValidation, field_of};
use crate::base::actor::Actor;
use crate::base::clock::Timestamp;
use crate::base::error::{Error, FieldError, Result};
use crate::base::ids::{InstanceId, SetupId};
use crate::domain::configs::pool_list::{self, KnownPools};
use crate::domain::configs::{
    ClientConfig, ConfigFindings, ConfigService, PeerProbeResult, lacking, probe_peers,
};
use crate::domain::instances::{ClientProgram, InstanceService};
use crate::infra::db::Db;
use crate::programs::bitcoin_core::node_sockets::{self, NodeSocket};
use crate::programs::bitcoin_core::places;

/// Setups that have not changed for this long are deleted.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(30 * 24 * 3600);
/// The user's own list of pools, in the data directory.
const POOLS: &str = "pools.toml";

/// All operations on setups; cheap to clone.
#[derive(Clone, Debug)]
pub struct SetupService {
    db: Db,
    pub(super) configs: ConfigService,
    pub(super) instances: InstanceService,
    /// The user's own list of pools.
    pools: Arc<Path>,
    /// The last problem with that list that was logged.
    complained: Arc<std::sync::Mutex<Option<String>>>,
    /// Closes streams when jd-manager stops.
    stop: CancellationToken,
    /// Only one setup is finished at a time, so that a double click creates one instance.
    pub(super) finishing: Arc<Mutex<()>>,
}

/// A setup in progress.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct SetupProgress {
    /// The id.
    pub id: SetupId,
    /// The answers so far.
    pub answers: SetupAnswers,
    /// The instance that was created, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_id: Option<InstanceId>,
    /// When the answers last changed.
    pub updated_at: Timestamp,
}

impl SetupProgress {
    fn of(row: SetupRow) -> Result<Self> {
        let answers = serde_json::from_str(&row.answers).map_err(Error::internal)?;
        Ok(Self {
            id: row.id,
            answers,
            instance_id: row.instance_id,
            updated_at: row.updated_at,
        })
    }

    /// The first step without answers.
    pub fn open_step(&self) -> SetupStep {
        let path = SetupStep::path(self.answers.needs_pool());
        path.into_iter()
            .find(|step| !self.answers.has(*step))
            .unwrap_or(SetupStep::Review)
    }
}

/// What happens after a form was sent.
pub enum SetupNext {
    /// Go to this step.
    To(SetupStep),
    /// Stay, because of these errors.
    Mend(ConfigFindings),
    /// Done: the instance was created.
    Made(Box<SetupResult>),
}

impl SetupService {
    /// Creates the service. `data_dir` has the user's own list of pools; `stop` closes streams.
    pub fn new(
        db: Db,
        configs: ConfigService,
        instances: InstanceService,
        data_dir: &Path,
        stop: CancellationToken,
    ) -> Self {
        Self {
            db,
            configs,
            instances,
            pools: data_dir.join(POOLS).into(),
            complained: Arc::default(),
            stop,
            finishing: Arc::default(),
        }
    }

    /// The known pools, including the user's own. A problem with that list is logged once.
    ///
    /// # Errors
    /// An internal error.
    pub async fn pools(&self) -> Result<KnownPools> {
        let path = self.pools.clone();
        let known = tokio::task::spawn_blocking(move || pool_list::read(&path))
            .await
            .map_err(Error::internal)?;
        let mut complained = self
            .complained
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if *complained != known.problem {
            if let Some(problem) = &known.problem {
                tracing::warn!("{problem}");
            }
            complained.clone_from(&known.problem);
        }
        drop(complained);
        Ok(known)
    }

    /// Checks a step while the user fills it in, without saving.
    ///
    /// # Errors
    /// No setup has this id; the database cannot be read.
    pub async fn check(
        &self,
        id: SetupId,
        step: SetupStep,
        pairs: &[(String, String)],
    ) -> Result<(SetupProgress, ConfigFindings)> {
        let mut setup = self.get(id).await?;
        setup.answers.read_all(step, &with_home(pairs));
        self.renew_proposals(&mut setup.answers).await?;
        let found = self.judge(&setup.answers, step).await?;
        Ok((setup, found))
    }

    /// The instances, for the page that shows a new one.
    pub(super) fn instances(&self) -> &InstanceService {
        &self.instances
    }

    /// Canceled when jd-manager stops.
    pub(super) fn stop(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// The installed client program.
    ///
    /// # Errors
    /// No client is installed, or it cannot run on this machine.
    pub async fn client(&self) -> Result<ClientProgram> {
        self.instances.client().await
    }

    /// Whether the client has a translator for Stratum V1 miners. Without a client: whether the next
    /// one will probably have one, which every release has.
    pub async fn has_translator(&self) -> bool {
        match self.client().await {
            Ok(program) => program.translator.is_some(),
            Err(_) => true,
        }
    }

    /// Unfinished setups, most recently changed first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn unfinished(&self) -> Result<Vec<SetupProgress>> {
        let rows = self.db.read(|c| Ok(queries::unfinished(c)?)).await?;
        rows.into_iter().map(SetupProgress::of).collect()
    }

    /// The setup with this id.
    ///
    /// # Errors
    /// No setup has this id.
    pub async fn get(&self, id: SetupId) -> Result<SetupProgress> {
        let row = self.db.read(move |c| Ok(queries::get(c, id)?)).await?;
        SetupProgress::of(row.ok_or_else(|| Error::not_found("setup", id))?)
    }

    /// Starts a setup with the mode.
    ///
    /// # Errors
    /// The mode is invalid.
    pub async fn begin(&self, pairs: &[(String, String)]) -> Result<SetupId> {
        let mut answers = SetupAnswers::default();
        answers.apply_form(SetupStep::Mode, pairs);
        let found = self.judge(&answers, SetupStep::Mode).await?;
        if !found.errors.is_empty() {
            return Err(Error::Invalid(found.errors));
        }
        let now = Timestamp::now();
        let answers = serde_json::to_string(&answers).map_err(Error::internal)?;
        let row = SetupRow {
            id: SetupId::random(),
            answers,
            instance_id: None,
            created_at: now,
            updated_at: now,
        };
        let id = row.id;
        let old = Timestamp(now.0 - i64::try_from(FORGOTTEN_AFTER.as_millis()).unwrap_or(i64::MAX));
        self.db
            .write(move |c| {
                queries::delete_older(c, old)?;
                queries::insert(c, &row)?;
                Ok(())
            })
            .await?;
        Ok(id)
    }

    /// Deletes a setup. An instance that it created stays.
    ///
    /// # Errors
    /// No setup has this id.
    pub async fn discard(&self, id: SetupId) -> Result<()> {
        match self.db.write(move |c| Ok(queries::delete(c, id)?)).await? {
            0 => Err(Error::not_found("setup", id)),
            _ => Ok(()),
        }
    }

    /// Saves the answers of a step and returns the next step. The last step creates and starts the
    /// instance.
    ///
    /// # Errors
    /// No setup has this id; no client is installed.
    pub async fn answer(
        &self,
        id: SetupId,
        step: SetupStep,
        pairs: &[(String, String)],
        actor: &Actor,
    ) -> Result<SetupNext> {
        let mut setup = self.get(id).await?;
        let action = SetupAction::of(pairs);
        if step == SetupStep::Review {
            return match action {
                SetupAction::Back => Ok(SetupNext::To(before(step, &setup.answers))),
                _ => self.finish(id, actor).await,
            };
        }
        match &action {
            SetupAction::Stay(SetupEdit::Add | SetupEdit::Remove(_) | SetupEdit::Raise(_)) => {
                setup.answers.read_all(step, &with_home(pairs))
            }
            _ => setup.answers.apply_form(step, &with_home(pairs)),
        }
        if let SetupAction::Stay(change) = &action {
            let known = self.pools().await?;
            let pool = if let SetupEdit::AddKnown(name) = change {
                known.get(name)
            } else {
                None
            };
            setup
                .answers
                .change(change, pool.filter(|pool| pool.declares()));
        }
        if action == SetupAction::Go {
            self.renew_proposals(&mut setup.answers).await?;
        }
        let answers = serde_json::to_string(&setup.answers).map_err(Error::internal)?;
        self.db
            .write(move |c| Ok(queries::set_answers(c, id, &answers, Timestamp::now())?))
            .await?;
        match action {
            SetupAction::Back => return Ok(SetupNext::To(before(step, &setup.answers))),
            SetupAction::Stay(_) => return Ok(SetupNext::To(step)),
            SetupAction::Go => {}
        }
        let found = self.judge(&setup.answers, step).await?;
        if !found.errors.is_empty() {
            return Ok(SetupNext::Mend(found));
        }
        let path = SetupStep::path(setup.answers.needs_pool());
        // After a correction the user continues with the following step.
        let next = path
            .iter()
            .copied()
            .find(|other| *other > step)
            .unwrap_or(SetupStep::Review);
        Ok(SetupNext::To(next))
    }

    /// The findings about one step; in the review, about all steps.
    ///
    /// # Errors
    /// The system has no random numbers; the database cannot be read.
    pub async fn judge(&self, answers: &SetupAnswers, step: SetupStep) -> Result<ConfigFindings> {
        let whole = CompleteSetup::of_answers(answers, step, &self.configs.starting().await?)
            .with_pools(self.pools().await?);
        let SetupValidation { config, mut found } =
            self.judged(&whole, step >= SetupStep::Name).await?;
        if let (SetupStep::Review, Some(config), Ok(program)) = (step, &config, self.client().await)
        {
            found.errors.extend(lacking(config, &program.version));
            found.errors.extend(lacking_translator(config, &program));
        }
        if let Some(config) = config.filter(|_| step != SetupStep::Review) {
            let lost = self.configs.lost_hosts(&config).await;
            found.warnings.extend(
                lost.into_iter().map(|one| {
                    FieldError::new(one.pointer.trim_start_matches("/config"), one.detail)
                }),
            );
        }
        if step != SetupStep::Review {
            for list in [&mut found.errors, &mut found.warnings, &mut found.hints] {
                list.retain(|one| SetupStep::of_field(&field_of(&one.pointer)) == Some(step));
            }
        }
        Ok(found)
    }

    /// The findings of the rules and, if `with_places`, whether name and ports are free.
    ///
    /// # Errors
    /// The database cannot be read.
    pub(super) async fn judged(
        &self,
        whole: &CompleteSetup,
        with_places: bool,
    ) -> Result<SetupValidation> {
        let mut judged = whole.judge();
        if with_places {
            if let Some(detail) = self.name_is_taken(&whole.name).await? {
                judged.found.error("/name", detail);
            }
            for (purpose, key, is_for_miners) in [
                ("miners", "listening_address", true),
                ("monitoring", "monitoring_address", false),
                ("Stratum V1 miners", "translator/listening_address", true),
            ] {
                let address = whole
                    .config
                    .pointer(&format!("/{key}"))
                    .and_then(Value::as_str)
                    .and_then(|text| text.parse::<SocketAddr>().ok());
                let Some(address) = address else { continue };
                let unreachable = || self.instances.out_of_reach(address);
                let detail = match is_for_miners.then(unreachable).flatten() {
                    Some(detail) => Some(detail),
                    None => self.instances.in_the_way(purpose, address).await?,
                };
                if let Some(detail) = detail {
                    judged.found.error(format!("/{key}"), detail);
                }
            }
        }
        judged.config = judged.config.filter(|_| judged.found.errors.is_empty());
        Ok(judged)
    }

    pub(super) async fn name_is_taken(&self, name: &str) -> Result<Option<String>> {
        let by_config = self
            .configs
            .list()
            .await?
            .iter()
            .any(|one| one.name.eq_ignore_ascii_case(name));
        let by_instance = !self.instances.is_free_name(name.to_owned()).await?;
        let what = match (by_config, by_instance) {
            (false, false) => return Ok(None),
            (_, true) => "An instance",
            (true, false) => "A configuration",
        };
        Ok(Some(format!(
            "{what} named \"{name}\" already exists. Choose another name."
        )))
    }

    /// The Bitcoin Core sockets in the default locations or in the given data directory.
    ///
    /// # Errors
    /// An internal error.
    pub async fn nodes(&self, answers: &SetupAnswers) -> Result<Vec<NodeSocket>> {
        let given = answers
            .get("template_provider_type.BitcoinCoreIpc.data_dir")
            .to_owned();
        tokio::task::spawn_blocking(move || node_sockets::look(&given))
            .await
            .map_err(Error::internal)
    }

    /// The configuration from the answers and the connection test; none if there are errors.
    ///
    /// # Errors
    /// The system has no random numbers; the database cannot be read.
    pub async fn preview(
        &self,
        answers: &SetupAnswers,
    ) -> Result<Option<(ClientConfig, Vec<PeerProbeResult>)>> {
        let whole =
            CompleteSetup::of_answers(answers, SetupStep::Review, &self.configs.starting().await?)
                .with_pools(self.pools().await?);
        let Some(config) = whole.judge().config else {
            return Ok(None);
        };
        let tried = probe_peers(&config).await;
        Ok(Some((config, tried)))
    }

    async fn finish(&self, id: SetupId, actor: &Actor) -> Result<SetupNext> {
        let guard = self.finishing.clone().lock_owned().await;
        let mut setup = self.get(id).await?;
        if let Some(instance) = setup.instance_id {
            let instance = self.instances.get(instance).await?;
            return Ok(SetupNext::Made(Box::new(self.made(&instance, None).await?)));
        }
        self.renew_proposals(&mut setup.answers).await?;
        let (this, actor) = (self.clone(), actor.clone());
        // Runs to completion, even if the request is canceled.
        let work = tokio::spawn(async move {
            let _guard = guard;
            let whole = CompleteSetup::of_answers(
                &setup.answers,
                SetupStep::Review,
                &this.configs.starting().await?,
            )
            .with_pools(this.pools().await?);
            match this.make(&whole, &actor).await {
                Ok(made) => {
                    let instance = made.instance_id;
                    this.db
                        .write(move |c| Ok(queries::set_instance(c, id, instance)?))
                        .await?;
                    Ok(SetupNext::Made(Box::new(made)))
                }
                Err(Error::Invalid(errors)) => Ok(SetupNext::Mend(ConfigFindings {
                    errors,
                    ..ConfigFindings::default()
                })),
                Err(other) => Err(other),
            }
        });
        work.await.map_err(Error::internal)?
    }
}

/// The previous step for these answers.
fn before(step: SetupStep, answers: &SetupAnswers) -> SetupStep {
    SetupStep::path(answers.needs_pool())
        .into_iter()
        .rev()
        .find(|other| *other < step)
        .unwrap_or(SetupStep::Mode)
}

/// Expands `~` in the data directory.
fn with_home(pairs: &[(String, String)]) -> Vec<(String, String)> {
    let written = |(name, text): &(String, String)| match name.ends_with(".data_dir") {
        true => (name.clone(), places::expanded(text)),
        false => (name.clone(), text.clone()),
    };
    pairs.iter().map(written).collect()
}

/// The error of a setup for Stratum V1 miners with a client that has no translator.
pub(super) fn lacking_translator(
    config: &ClientConfig,
    program: &ClientProgram,
) -> Option<FieldError> {
    (config.enabled_translator().is_some() && program.translator.is_none()).then(|| {
        FieldError::new(
            "/miners",
            format!(
                "Client {} has no translator for Stratum V1 miners. Under Updates, install a version with a translator, or choose \
                 “Stratum V2 only”.",
                program.version
            ),
        )
    })
}
