//! The check of the node's socket for an instance that uses Bitcoin Core directly and is not working:
//! the same check as under *Check node*, without a trial of a client. It runs beside the health
//! checks, and its last result is used meanwhile.

use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use super::service::{HealthService, HealthServiceInner};
use crate::domain::instances::Instance;
use crate::programs::bitcoin_core::{BitcoinNetwork, NodeCheckResult, socket_check};
use crate::programs::jd_client::diagnosis::{ClientStatus, ProviderState};

/// A socket is checked at most once in this time, for all instances together.
const CHECKED: Duration = Duration::from_secs(30);
/// Results are kept for this time.
const KEPT: Duration = Duration::from_secs(600);

impl HealthService {
    /// The last check of the node of an instance that does not work; none: it uses no node directly,
    /// it works, or the first check is still running. `waits`: waits for the check instead.
    pub(super) async fn node(
        &self,
        instance: &Instance,
        standing: &ClientStatus,
        waits: bool,
    ) -> Option<NodeCheckResult> {
        if instance.status.has_client() && !waits_for_node(standing) {
            return None;
        }
        let (data_dir, network) = self.0.instances.node_of(instance).await?;
        let socket = network.socket_in(&data_dir);
        let (known, is_due) = self.0.known_node(&socket, waits);
        if !is_due {
            return known;
        }
        let inner = self.0.clone();
        let id = instance.id;
        let check = async move {
            let result = check_socket(data_dir, network).await?;
            inner.keep_node(&socket, &result);
            Some((inner, result))
        };
        if waits {
            return check.await.map(|(_, result)| result);
        }
        let before = known.clone();
        tokio::spawn(async move {
            // The instance is checked again with the new result.
            if let Some((inner, result)) = check.await
                && before.as_ref() != Some(&result)
            {
                inner.instances.announce(id);
            }
        });
        known
    }
}

impl HealthServiceInner {
    /// The last result for a socket, and whether the caller has to check it now.
    fn known_node(&self, socket: &Path, is_urgent: bool) -> (Option<NodeCheckResult>, bool) {
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        nodes.retain(|_, (at, _)| at.elapsed() < KEPT);
        let known = nodes.get(socket).cloned();
        let is_due = is_urgent || known.as_ref().is_none_or(|(at, _)| at.elapsed() >= CHECKED);
        let result = known.and_then(|(_, result)| result);
        if is_due {
            nodes.insert(socket.to_owned(), (Instant::now(), result.clone()));
        }
        (result, is_due)
    }

    fn keep_node(&self, socket: &Path, result: &NodeCheckResult) {
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        nodes.insert(socket.to_owned(), (Instant::now(), Some(result.clone())));
    }
}

/// The client has no connection to its node, or no template yet.
fn waits_for_node(standing: &ClientStatus) -> bool {
    match standing.provider {
        ProviderState::Lost { .. } | ProviderState::Refused { .. } => true,
        ProviderState::Unknown | ProviderState::Connecting { .. } => standing.template_at.is_none(),
        ProviderState::Connected { .. } => standing.waiting_since.is_some(),
    }
}

async fn check_socket(data_dir: PathBuf, network: BitcoinNetwork) -> Option<NodeCheckResult> {
    let deadline = Instant::now() + socket_check::PATIENCE;
    let work = move || socket_check::check_data_dir(&data_dir, network, deadline);
    tokio::task::spawn_blocking(work).await.ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::Timestamp;
    use crate::programs::bitcoin_core::NodeStatus;

    #[test]
    fn a_client_that_works_needs_no_check_of_its_node() {
        let at = Timestamp(1);
        let of = |provider, template_at, waiting_since| ClientStatus {
            provider,
            template_at,
            waiting_since,
            ..ClientStatus::default()
        };
        let connected = ProviderState::Connected { since: at };
        assert!(!waits_for_node(&of(connected.clone(), Some(at), None)));
        assert!(waits_for_node(&of(connected, None, Some(at))));
        assert!(waits_for_node(&of(ProviderState::Unknown, None, None)));
        // The lines about the connection are too old to be known.
        assert!(!waits_for_node(&of(ProviderState::Unknown, Some(at), None)));
        assert!(waits_for_node(&of(
            ProviderState::Lost { since: at },
            Some(at),
            None
        )));
    }

    #[tokio::test]
    async fn the_socket_of_the_data_directory_is_checked() {
        let dir = tempfile::tempdir().unwrap();
        let result = check_socket(dir.path().to_owned(), BitcoinNetwork::Regtest)
            .await
            .unwrap();
        assert_eq!(result.status, NodeStatus::NoSocket);
        assert!(result.path.contains("regtest"), "{result:?}");
    }
}
