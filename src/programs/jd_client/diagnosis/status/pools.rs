//! How lines about pools and declared jobs change a [`ClientStatus`].

use super::*;

impl ClientStatus {
    /// The client tries its pools: at the start, or after it lost a pool.
    pub(super) fn try_pools(&mut self, at: Timestamp) -> bool {
        if matches!(self.work, WorkState::Pool { .. }) {
            return self.mark_pool_lost(None, PoolLeaveCode::ConnectionLost, at);
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

    /// The client uses each pool once in a run. If this is the last lost pool, its result is
    /// already known.
    pub(super) fn pool_skipped(&mut self, at: Timestamp) -> bool {
        let Some(upstream) = &mut self.upstream else {
            return false;
        };
        match &self.lost {
            Some(lost) if lost.number == upstream.number => *upstream = lost.clone(),
            _ => {
                upstream.why = Some("already tried in this run".into());
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

    /// Before the handshake with the pool, an attempt fails at the pool; after it, at the job
    /// declaration server.
    pub(super) fn pool_try_failed(
        &mut self,
        words: String,
        certificate: Option<CertificateValidity>,
        code: PoolLeaveCode,
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
        // The message does not show whether key or clock is wrong.
        let shown = self
            .certificate
            .as_ref()
            .filter(|_| certificate.is_some())
            .map(certificate_text);
        let (code, text) = match shown {
            Some(cause) if cause.code.ends_with("-clock") => {
                (PoolLeaveCode::WrongClock, cause.what)
            }
            Some(cause) => (PoolLeaveCode::WrongKey, cause.what),
            None => (code, words.clone()),
        };
        is_new
            | self.says_why(words, (code, text), at)
            | self.upstream_becomes(UpstreamState::Trying, at)
    }

    /// Records why a pool fails or is about to be lost: as a short text and as the reason to leave.
    pub(super) fn says_why(
        &mut self,
        words: String,
        (code, text): (PoolLeaveCode, String),
        at: Timestamp,
    ) -> bool {
        match &mut self.upstream {
            Some(upstream)
                if matches!(
                    upstream.state,
                    UpstreamState::Trying | UpstreamState::Connected
                ) =>
            {
                let is_new = upstream.why.as_ref() != Some(&words);
                upstream.why = Some(words);
                is_new | self.leave_pool(code, text, false, at)
            }
            // The beginning of the run is missing.
            None => self.leave_pool(code, text, false, at),
            Some(_) => false,
        }
    }

    /// Keeps the reason for leaving a pool. The client logs several reasons; a vaguer reason does
    /// not replace a better one. `is_sequel`: the line only follows from an earlier line.
    fn leave_pool(
        &mut self,
        code: PoolLeaveCode,
        text: String,
        is_sequel: bool,
        at: Timestamp,
    ) -> bool {
        let (number, of, pool) = self
            .upstream
            .as_ref()
            .map(|upstream| (upstream.number, upstream.of, upstream.pool.clone()))
            .unwrap_or_default();
        if let Some(known) = &self.pool_left {
            let says_less = code.is_vague() && !known.code.is_vague();
            let says_more = !code.is_vague() && known.code.is_vague();
            let says_the_same = known.code == code && known.text == text;
            let is_known = if known.number == number {
                says_less || says_the_same || is_sequel && !says_more
            } else {
                // Another unreachable pool is not the reason for leaving the previous pool.
                says_less && !matches!(self.work, WorkState::Pool { .. })
            };
            if is_known {
                return false;
            }
        }
        self.pool_left = Some(PoolLeaveReason {
            at,
            number,
            of,
            pool,
            code,
            text,
            advice: code.advice().into(),
            setting: code.setting().map(Into::into),
        });
        true
    }

    /// The job declaration server has accepted the client. The client continues with the pool in
    /// any case.
    pub(super) fn pool_works(&mut self, at: Timestamp) -> bool {
        let is_accepted = self.accept_certificate(CertificateOwner::JobServer);
        let mut is_back = false;
        match &mut self.upstream {
            Some(upstream)
                if matches!(upstream.state, UpstreamState::Failed | UpstreamState::Lost) =>
            {
                return is_accepted;
            }
            Some(upstream) => {
                upstream.becomes(UpstreamState::Connected, at);
                upstream.why = None;
                let number = upstream.number;
                is_back = self
                    .pool_left
                    .take_if(|left| left.number == number)
                    .is_some();
            }
            None => {}
        }
        let is_new = !matches!(self.work, WorkState::Pool { .. });
        if is_new {
            self.work = WorkState::Pool { since: at };
            self.pool_answers = LearnedInterval::default();
            self.unanswered = UnansweredWork::default();
        }
        is_new | is_accepted | is_back
    }

    /// The connection to the pool or job declaration server was lost. The client logs this several
    /// times; the first message is the best.
    pub(super) fn mark_pool_lost(
        &mut self,
        words: Option<String>,
        code: PoolLeaveCode,
        at: Timestamp,
    ) -> bool {
        let is_connected = self
            .upstream
            .as_ref()
            .is_some_and(|upstream| upstream.state == UpstreamState::Connected);
        let state = match self.work {
            WorkState::Pool { .. } => UpstreamState::Lost,
            WorkState::Trying { .. } if is_connected => UpstreamState::Failed,
            _ => return false,
        };
        let text = words
            .clone()
            .unwrap_or_else(|| "the connection was lost".into());
        self.leave_pool(code, text, true, at);
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

    /// No pool is left, or the mode needs none.
    pub(super) fn solo(&mut self, at: Timestamp) -> bool {
        if matches!(self.work, WorkState::Solo { .. }) {
            return false;
        }
        if matches!(self.work, WorkState::Pool { .. }) {
            self.mark_pool_lost(None, PoolLeaveCode::ConnectionLost, at);
        }
        self.work = WorkState::Solo { since: at };
        if self.lost.is_some() {
            self.upstream.clone_from(&self.lost);
        } else {
            self.upstream_becomes(UpstreamState::Failed, at);
        }
        true
    }

    /// A message from a pool proves that there is one, if the beginning of the run is missing.
    pub(super) fn pool_speaks(&mut self, at: Timestamp) -> bool {
        let is_new = self.work == WorkState::Unknown;
        if is_new {
            self.work = WorkState::Pool { since: at };
        }
        is_new
    }

    /// The pool answered, so the miners' work until now has reached it.
    pub(super) fn pool_answers(&mut self, at: Timestamp) -> bool {
        self.pool_answers.note(at);
        self.unanswered = UnansweredWork::default();
        self.pool_speaks(at)
    }

    /// The rejection itself has the reason; the next line only reports that there was a rejection.
    pub(super) fn job_refused(&mut self, words: Option<String>, at: Timestamp) -> bool {
        self.pool_answers.note(at);
        match (words, &mut self.refused) {
            (Some(words), _) => {
                let reason = (PoolLeaveCode::JobRejected, words.clone());
                self.says_why(words.clone(), reason, at) | say(&mut self.refused, at, words)
            }
            (None, Some(said)) => {
                said.at = at;
                false
            }
            (None, None) => say(&mut self.refused, at, "a job was rejected".into()),
        }
    }
}
