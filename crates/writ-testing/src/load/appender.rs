use super::line::{Acknowledged, Line};
use super::story::Story;
use crate::scenario::{Domain, Recorded, Standing};
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use writ_ledger::{Ledger, LedgerError, Receipt};
use writ_tlog::TreeSize;

/// One asker, with a gateway of its own, in the middle of its stories.
pub struct Appender<'a> {
    domain: &'a Domain,
    number: usize,
    story: u64,
}

impl<'a> Appender<'a> {
    /// Goes on with a story, from its first step: what was recorded of it is answered again.
    pub fn new(domain: &'a Domain, number: usize, story: u64) -> Self {
        Self { domain, number, story }
    }

    /// Asks until the ledger fails, the stories are told, or somebody says stop. Each line is told before the next thing is asked.
    pub fn run(
        mut self,
        ledger: &Ledger,
        until: u64,
        stop: &AtomicBool,
        tell: &(dyn Fn(Line) + Sync),
    ) -> Result<(), LedgerError> {
        while self.story < until && !stop.load(Ordering::Relaxed) {
            self.tell_story(ledger, tell)?;
            self.story += 1;
        }
        Ok(())
    }

    fn tell_story(&self, ledger: &Ledger, tell: &(dyn Fn(Line) + Sync)) -> Result<(), LedgerError> {
        let story = Story::new(self.domain, self.number, self.story);
        let mut before = Vec::new();
        for step in 0..story.steps() {
            let proposal = story.proposal(step, &Standing::of(&ledger.published()), &before);
            let openings = proposal.openings.iter().cloned().map(Into::into).collect();
            let asked = story.asked(step);
            match ledger.append(proposal) {
                Ok(receipt) => {
                    let size = receipt.size();
                    tell(Line::Signed { size, note: receipt.checkpoint.note_bytes().to_vec() });
                    tell(Line::Acknowledged(self.acknowledged(asked, &receipt)));
                    before.push(Recorded::of(&receipt, self.domain.origin(), openings));
                }
                Err(error) => {
                    tell(Line::Failed { appender: self.number, asked, why: error.to_string() });
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    fn acknowledged(&self, asked: String, receipt: &Receipt) -> Acknowledged {
        Acknowledged {
            appender: self.number,
            story: self.story,
            asked,
            index: receipt.index,
            entry: receipt.hash(),
            size: receipt.size(),
            root: receipt.checkpoint.checkpoint().root,
            repeated: receipt.repeated,
            proof: receipt.proof.clone(),
        }
    }
}

/// Runs one appender for each number in `stories`, each from its story to `until`, and waits for them. The first failure ends all.
/// `tell` hears each checkpoint once.
pub fn append_all(
    ledger: &Ledger,
    domain: &Domain,
    stories: &[u64],
    until: u64,
    tell: &(dyn Fn(Line) + Sync),
) -> Result<(), LedgerError> {
    let stop = AtomicBool::new(false);
    let seen = Mutex::new(BTreeSet::<TreeSize>::new());
    let once = |line: Line| match &line {
        Line::Signed { size, .. } => {
            // The checkpoint is told before anybody tells of an entry in it.
            let mut seen = seen.lock().unwrap();
            if seen.insert(*size) {
                tell(line);
            }
        }
        Line::Opened(_) | Line::Acknowledged(_) | Line::Failed { .. } => tell(line),
    };
    let run = |number: usize, story: u64| {
        let result = Appender::new(domain, number, story).run(ledger, until, &stop, &once);
        if result.is_err() {
            stop.store(true, Ordering::Relaxed);
        }
        result
    };
    std::thread::scope(|scope| {
        let run = &run;
        let threads: Vec<_> =
            stories.iter().enumerate().map(|(number, story)| scope.spawn(move || run(number, *story))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).fold(Ok(()), Result::and)
    })
}
