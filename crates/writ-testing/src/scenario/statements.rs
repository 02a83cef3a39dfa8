use super::domain::Domain;
use super::recorded::{Recorded, Standing};
use super::secrets::{Secret, SecretPair};
use writ_ledger::{Draft, Proposal};
use writ_protocol::cbor::{Decode, Encode, Value};
use writ_protocol::entry::{Ascending, Positive};
use writ_protocol::statement::{Claim, Ending, GatewayStatement, RootCommand, RootStatement};
use writ_protocol::{Code, ExecutionId, Label};
use writ_tlog::Hash;

/// A gateway in one instance epoch, stating what it does. Its sequence goes on with each statement.
#[derive(Clone, Copy)]
pub struct Speaker<'a> {
    domain: &'a Domain,
    gateway: usize,
    epoch: u64,
}

impl Domain {
    /// A gateway in an instance epoch.
    pub fn speaker(&self, gateway: usize, epoch: u64) -> Speaker<'_> {
        Speaker { domain: self, gateway, epoch }
    }

    /// A statement of the root, not signed yet.
    pub fn root_statement(&self, order: RootCommand) -> RootStatement {
        RootStatement { domain: self.id(), id: self.order_id(), time_ms: self.now_ms(), order }
    }

    /// Signs with both keys of some members.
    pub fn sign_root(&self, statement: &RootStatement, members: &[&SecretPair]) -> Vec<u8> {
        let payload = payload_of(&statement.sign(self.origin(), &[]));
        let secrets: Vec<&Secret> = members.iter().flat_map(|member| member.both()).collect();
        sign(&payload, &secrets)
    }

    /// A root order signed by the first two members, as a ledger takes it.
    pub fn root_order(&self, order: RootCommand) -> Proposal {
        let [first, second, ..] = self.root_keys() else { panic!("the domain has three root members") };
        Proposal::new(Draft::RootOrder(self.sign_root(&self.root_statement(order), &[first, second])))
    }

    /// The root halts the domain.
    pub fn root_halt(&self) -> Proposal {
        self.root_order(RootCommand::Halt(Label::new("drill").unwrap()))
    }

    /// The root ends a halt.
    pub fn root_resume(&self) -> Proposal {
        self.root_order(RootCommand::Resume(Label::new("resolved").unwrap()))
    }
}

impl Speaker<'_> {
    /// The next statement, not signed yet.
    pub fn statement(&self, claim: Claim) -> GatewayStatement {
        GatewayStatement {
            gateway: self.domain.gateway_name(self.gateway),
            epoch: Positive::new(self.epoch).unwrap(),
            seq: self.domain.next_seq(self.gateway, self.epoch),
            time_ms: self.domain.now_ms(),
            claim,
        }
    }

    /// Signs a statement.
    pub fn sign(&self, statement: &GatewayStatement) -> Vec<u8> {
        statement.sign(self.domain.origin(), self.domain.gateway_key(self.gateway, self.epoch).signing_key())
    }

    /// Use 1 of a grant is consumed.
    pub fn spent(&self, grant: &Recorded, execution: ExecutionId) -> Proposal {
        self.spent_use(grant, execution, 1)
    }

    /// A use of a grant is consumed.
    pub fn spent_use(&self, grant: &Recorded, execution: ExecutionId, usage: u64) -> Proposal {
        let usage = Positive::new(usage).unwrap();
        self.state(Claim::Spent { writ: grant.hash, index: grant.index.get(), execution, usage })
    }

    /// An execution began, as granted.
    pub fn started(&self, grant: &Recorded, execution: ExecutionId) -> Proposal {
        let (action, surroundings) = (grant.grant().action.digest, grant.grant().surroundings.digest);
        self.state(Claim::Started { writ: grant.hash, execution, action, surroundings })
    }

    /// An execution ended.
    pub fn ended(&self, grant: &Recorded, execution: ExecutionId, result: Ending) -> Proposal {
        self.state(Claim::Ended { writ: grant.hash, execution, result })
    }

    /// An execution carries more than it was granted with.
    pub fn labelled(&self, grant: &Recorded, execution: ExecutionId, labels: &[&str]) -> Proposal {
        let labels = Ascending::new(labels.iter().map(|label| Label::new(*label).unwrap()));
        self.state(Claim::Labelled { writ: grant.hash, execution, labels })
    }

    /// Something was refused.
    pub fn refused(&self, code: Code, writ: Option<Hash>) -> Proposal {
        self.state(Claim::Refused { code, writ, action: None })
    }

    /// It is alive, and has verified so much of the ledger.
    pub fn heartbeat(&self, standing: &Standing) -> Proposal {
        self.state(Claim::Heartbeat { size: standing.size, root: standing.root })
    }

    /// States anything, as a ledger takes it.
    pub fn state(&self, claim: Claim) -> Proposal {
        Proposal::new(Draft::Statement(self.sign(&self.statement(claim))))
    }
}

/// What a signature of a statement is made over.
pub fn statement_message(payload: &[u8]) -> Vec<u8> {
    [b"writ.signed/v1\n", payload].concat()
}

/// The envelope with these signatures, `(fingerprint, signature)`, in this order.
pub fn envelope(payload: &[u8], signatures: &[(Hash, Vec<u8>)]) -> Vec<u8> {
    let signature = |(by, signature): &(Hash, Vec<u8>)| {
        Value::Array(vec![Value::Bytes(by.as_bytes().to_vec()), Value::Bytes(signature.clone())])
    };
    let signatures = Value::Array(signatures.iter().map(signature).collect());
    let context = Value::Text("writ.signed".to_owned());
    Value::Array(vec![context, Value::Uint(1), Value::Bytes(payload.to_vec()), signatures]).to_cbor()
}

/// The payload of a signed statement.
pub fn payload_of(signed: &[u8]) -> Vec<u8> {
    let Value::Array(parts) = Value::from_cbor(signed).unwrap() else { panic!("expected a signed statement") };
    let Some(Value::Bytes(payload)) = parts.into_iter().nth(2) else { panic!("expected the payload as bytes") };
    payload
}

fn sign(payload: &[u8], secrets: &[&Secret]) -> Vec<u8> {
    let message = statement_message(payload);
    let mut signatures: Vec<_> =
        secrets.iter().map(|secret| (secret.public().fingerprint().0, secret.sign(&message))).collect();
    signatures.sort();
    envelope(payload, &signatures)
}
