//! What the manager asks of the keeper on the control socket.

use super::{CONNECTIONS, KeeperProcess};
use crate::keeper::connection::ControlConnection;
use crate::keeper::machine::MachineInput;
use crate::keeper::protocol::{self, KeeperCommand, KeeperRequest, KeeperStatus};
use crate::keeper::translator::TranslatorSupervisor;
use crate::keeper::translator_machine::TranslatorInput;

impl KeeperProcess {
    /// Takes new connections.
    pub(super) fn accept(&mut self) {
        while let Ok((stream, _)) = self.listener.accept() {
            if self.connections.len() < CONNECTIONS && stream.set_nonblocking(true).is_ok() {
                self.connections.push(ControlConnection::new(stream));
            }
        }
    }

    /// Reads the lines of a connection and answers each line with the resulting status.
    pub(super) fn converse(&mut self, at: usize) {
        for line in self.connections[at].receive() {
            let Ok(request) = serde_json::from_slice::<KeeperRequest>(&line) else {
                self.connections[at].over = true;
                return;
            };
            if let Some(offset) = request.ingested {
                self.journal.drop_ingested(offset);
            }
            // These do not change the state, so the actor of the current change stays.
            if !matches!(
                request.command,
                KeeperCommand::Watch | KeeperCommand::Reload
            ) {
                self.actor = request.actor;
            }
            match request.command {
                KeeperCommand::Start => self.feed(MachineInput::Start),
                KeeperCommand::Stop => {
                    self.feed(MachineInput::Stop);
                    // A stop before the first start.
                    self.done |= self.machine.state().is_at_rest();
                }
                KeeperCommand::Restart => self.feed(MachineInput::Restart),
                KeeperCommand::RestartTranslator => {
                    self.feed_translator(TranslatorInput::RestartRequest);
                }
                KeeperCommand::Reload => self.read_spec(),
                KeeperCommand::Watch => self.connections[at].watches = true,
            }
            let translator = self.translator.as_ref();
            let line = protocol::line(&KeeperStatus {
                re: request.id,
                lines: Some(self.client.lines()),
                translator: translator.map(TranslatorSupervisor::status_with_lines),
                ..self.status.clone()
            });
            self.connections[at].send(&line);
        }
        self.connections[at].flush();
    }
}
