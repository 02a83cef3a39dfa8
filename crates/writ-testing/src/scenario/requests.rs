use super::domain::Domain;
use super::secrets::Secret;
use writ_protocol::RequestKey;
use writ_protocol::action::{Command, Opening};
use writ_protocol::entry::{Audience, Positive};
use writ_protocol::statement::{Ask, Authorize, Request, Shadowing};
use writ_tlog::sha256;

impl Domain {
    /// The key that proves `User::alice`.
    pub fn alice_key(&self) -> &Secret {
        &self.alice
    }

    /// A request for a writ for a build, at gateway 0 in epoch 1.
    pub fn asked(&self) -> Request {
        let ask = Authorize {
            mandate: None,
            hold: None,
            admit: None,
            holder: self.holder_key(),
            audience: Audience::Gateway { gateway: self.gateway_name(0), epoch: Positive::ONE },
            surroundings: self.surroundings(),
        };
        self.ask(self.action(&["/usr/bin/make", "test"]), Ask::Authorize(ask))
    }

    /// A request that an order be done.
    pub fn asked_order(&self, command: Command) -> Request {
        self.ask(self.order(command), Ask::Order)
    }

    /// A request in shadow, for a build.
    pub fn asked_in_shadow(&self) -> Request {
        let ask = Shadowing { gateway: self.gateway_name(0), mandate: None, surroundings: self.surroundings() };
        self.ask(self.action(&["/usr/bin/make", "test"]), Ask::Shadow(ask))
    }

    fn ask(&self, action: Opening, ask: Ask) -> Request {
        let key = RequestKey::new(self.now_ms(), self.fresh("asked"));
        Request {
            key,
            salt: *sha256(key.as_bytes()).as_bytes(),
            time_ms: self.now_ms(),
            principal: None,
            action_salt: action.salt,
            action: action.value,
            ask,
        }
    }
}
