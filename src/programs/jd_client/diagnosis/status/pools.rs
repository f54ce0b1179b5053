//! How lines about pools and the jobs declared to them change a [`ClientStatus`].

use super::*;

impl ClientStatus {
    /// Pools are gone through: at the start, or after one was lost.
    pub(super) fn try_pools(&mut self, at: Timestamp) -> bool {
        if matches!(self.work, WorkState::Pool { .. }) {
            return self.mark_pool_lost(None, at);
        }
        let is_new = !matches!(self.work, WorkState::Trying { .. });
        if is_new {
            self.work = WorkState::Trying { since: at };
        }
        is_new
    }

    pub(super) fn upstream_becomes(&mut self, state: UpstreamState, at: Timestamp) -> bool {
        self.upstream
            .as_mut()
            .is_some_and(|upstream| upstream.becomes(state, at))
    }

    /// The client uses each pool once in a run. What became of this one was said when it was used,
    /// if it is the one lost last.
    pub(super) fn pool_skipped(&mut self, at: Timestamp) -> bool {
        let Some(upstream) = &mut self.upstream else {
            return false;
        };
        match &self.lost {
            Some(lost) if lost.number == upstream.number => *upstream = lost.clone(),
            _ => {
                upstream.why = Some("it was tried before in this run".into());
                upstream.becomes(UpstreamState::Failed, at);
            }
        }
        true
    }

    pub(super) fn pool_shook_hands(&mut self, at: Timestamp) -> bool {
        if let Some(upstream) = &mut self.upstream {
            upstream.why = None;
        }
        self.accept_certificate(CertificateOwner::Pool)
            | self.upstream_becomes(UpstreamState::Connected, at)
    }

    /// Until the pool has shown who it is, a try fails at the pool; from then on at its job
    /// declaration server.
    pub(super) fn pool_try_failed(
        &mut self,
        words: String,
        certificate: Option<CertificateValidity>,
        at: Timestamp,
    ) -> bool {
        let is_pool_connected = self
            .upstream
            .as_ref()
            .is_some_and(|upstream| upstream.state == UpstreamState::Connected);
        let peer = if is_pool_connected {
            CertificateOwner::JobServer
        } else {
            CertificateOwner::Pool
        };
        let is_new =
            certificate.is_some_and(|validity| self.refuse_certificate(peer, validity, at));
        is_new | self.says_why(words) | self.upstream_becomes(UpstreamState::Trying, at)
    }

    /// Why a pool fails or is about to be lost.
    pub(super) fn says_why(&mut self, words: String) -> bool {
        match &mut self.upstream {
            Some(upstream)
                if matches!(
                    upstream.state,
                    UpstreamState::Trying | UpstreamState::Connected
                ) =>
            {
                let is_new = upstream.why.as_ref() != Some(&words);
                upstream.why = Some(words);
                is_new
            }
            _ => false,
        }
    }

    /// The job declaration server has agreed. Whether or not the pool has, the client goes on to
    /// ask it.
    pub(super) fn pool_works(&mut self, at: Timestamp) -> bool {
        let is_accepted = self.accept_certificate(CertificateOwner::JobServer);
        match &mut self.upstream {
            Some(upstream)
                if matches!(upstream.state, UpstreamState::Failed | UpstreamState::Lost) =>
            {
                return is_accepted;
            }
            Some(upstream) => {
                upstream.becomes(UpstreamState::Connected, at);
                upstream.why = None;
            }
            None => {}
        }
        let is_new = !matches!(self.work, WorkState::Pool { .. });
        if is_new {
            self.work = WorkState::Pool { since: at };
            self.pool_answers = LearnedInterval::default();
            self.unanswered = UnansweredWork::default();
        }
        is_new | is_accepted
    }

    /// The connection with pool or job declaration server ended. The client says so several times,
    /// the first time best.
    pub(super) fn mark_pool_lost(&mut self, words: Option<String>, at: Timestamp) -> bool {
        let is_connected = self
            .upstream
            .as_ref()
            .is_some_and(|upstream| upstream.state == UpstreamState::Connected);
        let state = match self.work {
            WorkState::Pool { .. } => UpstreamState::Lost,
            WorkState::Trying { .. } if is_connected => UpstreamState::Failed,
            _ => return false,
        };
        if let Some(upstream) = &mut self.upstream {
            upstream.why = upstream.why.take().or(words);
            upstream.becomes(state, at);
        }
        if state == UpstreamState::Lost {
            self.lost_pool_at = Some(at);
            self.lost.clone_from(&self.upstream);
            self.work = WorkState::Trying { since: at };
        }
        true
    }

    /// No pool is left, or none is wanted.
    pub(super) fn solo(&mut self, at: Timestamp) -> bool {
        if matches!(self.work, WorkState::Solo { .. }) {
            return false;
        }
        if matches!(self.work, WorkState::Pool { .. }) {
            self.mark_pool_lost(None, at);
        }
        self.work = WorkState::Solo { since: at };
        if self.lost.is_some() {
            self.upstream.clone_from(&self.lost);
        } else {
            self.upstream_becomes(UpstreamState::Failed, at);
        }
        true
    }

    /// What a pool says shows that there is one, if the beginning of the run was not heard.
    pub(super) fn pool_speaks(&mut self, at: Timestamp) -> bool {
        let is_new = self.work == WorkState::Unknown;
        if is_new {
            self.work = WorkState::Pool { since: at };
        }
        is_new
    }

    /// The pool answered: what miners have done until now is not lost on the way to it.
    pub(super) fn pool_answers(&mut self, at: Timestamp) -> bool {
        self.pool_answers.note(at);
        self.unanswered = UnansweredWork::default();
        self.pool_speaks(at)
    }

    /// The refusal itself has the reason; the line after it says only that there was one.
    pub(super) fn job_refused(&mut self, words: Option<String>, at: Timestamp) -> bool {
        self.pool_answers.note(at);
        match (words, &mut self.refused) {
            (Some(words), _) => self.says_why(words.clone()) | say(&mut self.refused, at, words),
            (None, Some(said)) => {
                said.at = at;
                false
            }
            (None, None) => say(&mut self.refused, at, "a job was refused".into()),
        }
    }
}
