//! A domain with an execution under way, whose tree asks for more.

use crate::answers::permitted;
use std::process::{Child, Command, Stdio};
use writ_authority::{Answer, Received};
use writ_ledger::Receipt;
use writ_protocol::entry::{Admitted, Ascending, EntryRef, Grant};
use writ_protocol::statement::{Claim, Ending, Request};
use writ_protocol::{ExecutionId, Label, Refusal};
use writ_testing::governed::{GovernedDomain, Myself, wait};
use writ_tlog::sha256;

/// A request to run a program at once, and the execution that it would be.
pub(crate) fn admitted(domain: &GovernedDomain, program: &str) -> (ExecutionId, Request) {
    let execution = domain.domain.execution_id();
    let asked = GovernedDomain::changed(domain.asked(&[program]), |ask| {
        ask.admit = Some(Admitted { nonce: sha256(b"nonce"), execution });
    });
    (execution, asked)
}

/// A child of this process as the whole tree of an execution, from here on.
fn started(domain: &GovernedDomain, writ: &Receipt, execution: ExecutionId, grant: &Grant) -> Child {
    let tree = Command::new("sleep").arg("600").stdin(Stdio::null()).spawn().unwrap();
    let (action, surroundings) = (grant.action.digest, grant.surroundings.digest);
    let statement = domain.statement(0, Claim::Started { writ: writ.hash(), execution, action, surroundings });
    let gateway = Myself::now();
    wait(domain.authority().state(&gateway.as_user(0), &statement, Some(tree.id()))).unwrap();
    tree
}

/// An execution under this process as its gateway, with a child as its whole tree.
pub(crate) struct Running {
    pub(crate) domain: GovernedDomain,
    pub(crate) tree: Child,
    pub(crate) writ: Receipt,
    pub(crate) execution: ExecutionId,
    /// The trees of the executions that have caused it.
    above: Vec<Child>,
}

impl Running {
    pub(crate) fn begin() -> Self {
        Self::of(GovernedDomain::new(), "/usr/bin/make")
    }

    /// An execution of this program by the builder.
    pub(crate) fn of(domain: GovernedDomain, program: &str) -> Self {
        let (execution, asked) = admitted(&domain, program);
        let (writ, grant) = permitted(&domain, domain.asks("builder", &asked));
        let tree = started(&domain, &writ, execution, &grant);
        assert_eq!((domain.authority().trees(), domain.authority().running().unwrap()), (1, 1));
        Self { domain, tree, writ, execution, above: Vec::new() }
    }

    /// An execution of `make` by the builder, under a mandate.
    pub(crate) fn under(domain: GovernedDomain, mandate: &EntryRef) -> Self {
        let (execution, asked) = admitted(&domain, "/usr/bin/make");
        let asked = GovernedDomain::changed(asked, |ask| ask.mandate = Some(mandate.clone()));
        let (writ, grant) = permitted(&domain, domain.asks("builder", &asked));
        let tree = started(&domain, &writ, execution, &grant);
        Self { domain, tree, writ, execution, above: Vec::new() }
    }

    /// An execution that this one has caused; this one goes on above it.
    pub(crate) fn deeper(mut self) -> Self {
        let (execution, asked) = admitted(&self.domain, "/usr/bin/make");
        let (writ, grant) = permitted(&self.domain, self.asks(&asked));
        let tree = started(&self.domain, &writ, execution, &grant);
        self.above.push(std::mem::replace(&mut self.tree, tree));
        (self.writ, self.execution) = (writ, execution);
        self
    }

    /// Something in the tree asks for a writ.
    pub(crate) fn asks(&self, request: &Request) -> Answer {
        let bytes = request.payload(self.domain.domain.origin());
        self.sends(Received::Bare(&bytes))
    }

    pub(crate) fn sends(&self, received: Received<'_>) -> Answer {
        let inside = Myself::process(self.tree.id());
        wait(self.domain.authority().authorize(&inside.as_user(self.domain.job_uid()), received))
    }

    pub(crate) fn ended(&self) {
        let ended = Claim::Ended { writ: self.writ.hash(), execution: self.execution, result: Ending::Exited(0) };
        self.domain.states(0, ended).unwrap();
    }

    /// Its gateway says that it carries more.
    pub(crate) fn gains(&self, labels: &[&str]) -> Result<Receipt, Refusal> {
        let labels = Ascending::new(labels.iter().map(|label| Label::new(*label).unwrap()));
        self.domain.states(0, Claim::Labelled { writ: self.writ.hash(), execution: self.execution, labels })
    }

    pub(crate) fn clean(mut self) {
        let judgement = self.domain.judged();
        assert!(judgement.is_clean(), "{judgement:?}");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        for tree in self.above.iter_mut().chain([&mut self.tree]) {
            tree.kill().ok();
            tree.wait().ok();
        }
    }
}
