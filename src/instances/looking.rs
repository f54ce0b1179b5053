//! For those who look after instances: what they run with, and how their news gets into the history and to whoever follows.

use std::net::SocketAddr;
use std::time::Duration;

use super::model::Instance;
use super::program::Program;
use super::queries;
use super::service::Instances;
use super::supervisor::Ask;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::ids::InstanceId;
use crate::keeper::names;

impl Instances {
    /// The client program that an instance runs when it is started now.
    ///
    /// # Errors
    /// There is none or it cannot be run here.
    pub async fn client_of(&self, instance: &Instance) -> Result<Program> {
        self.source.program(instance.client_version.as_deref()).await
    }

    /// The file the present client was started with, which may say something else than the saved configuration by now; none: never started.
    pub async fn running_file(&self, id: InstanceId) -> Option<toml::Table> {
        let path = self.root.join(id.to_string()).join(names::CONFIG);
        let text = tokio::fs::read_to_string(path).await.ok()?;
        text.parse().ok()
    }

    /// Where the present client's monitoring listens, as its file says; none: nowhere.
    pub async fn monitoring_address(&self, id: InstanceId) -> Option<SocketAddr> {
        self.running_file(id).await?.get("monitoring_address")?.as_str()?.parse().ok()
    }

    /// Puts a remark into an instance's history, which changes nothing about it: what was noticed, or why something is done next.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn note(&self, id: InstanceId, words: String, actor: Option<&'static str>) -> Result<()> {
        self.db.write(move |c| Ok(queries::note(c, id, &words, actor, Timestamp::now())?)).await?;
        self.supervisor.announce(id);
        Ok(())
    }

    /// Restarts the client that was started at `started_at` (milliseconds since 1970), if it still serves miners. Waits for the new process, at
    /// most for `patience`.
    ///
    /// # Errors
    /// It was stopped or started anew meanwhile; there is no usable client; its configuration does not fit the client.
    pub async fn restart_of(&self, id: InstanceId, started_at: i64, actor: &'static str, patience: Duration) -> Result<()> {
        self.supervisor.ask(id, Ask::RestartOf(started_at), actor).await?;
        self.settle(id, patience).await;
        Ok(())
    }

    /// Tells everybody who follows an instance that there is something new about it.
    pub fn announce(&self, id: InstanceId) {
        self.supervisor.announce(id);
    }
}
