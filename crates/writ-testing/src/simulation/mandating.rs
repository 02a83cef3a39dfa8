//! Those who say what somebody is for, and those who hand that on: narrower, or as they wish it were.

use super::world::{To, World};
use writ_authority::Answer;
use writ_protocol::action::{Command, Given};
use writ_protocol::entry::{EntryRef, Positive, Window};
use writ_protocol::scope::{Among, File, Path, Program, Scope, ScopeFields};
use writ_protocol::statement::Request;

/// A mandate that somebody has heard of.
#[derive(Clone)]
pub(super) struct Mandated {
    pub(super) mandate: EntryRef,
    to: String,
    scope: Scope,
}

const MINUTE_MS: u64 = 60_000;

impl World {
    /// A person gives a mandate, or an agent hands on what it has, or what it has not.
    pub(super) fn give_a_mandate(&mut self) {
        let parent = if self.chance.one_in(3) { None } else { self.a_mandate(None) };
        let to = self.agent();
        let by = match &parent {
            // Now and then by somebody for whom it is not.
            _ if self.chance.one_in(10) => self.agent(),
            Some(parent) => parent.to.clone(),
            None => "alice".to_owned(),
        };
        let scope = match &parent {
            Some(parent) if !self.chance.one_in(6) => self.narrowed(&parent.scope),
            _ => self.scope(),
        };
        let given = Given {
            to: self.members.named(&to).name().clone(),
            scope: scope.clone(),
            parent: parent.map(|parent| parent.mandate),
        };
        let command = Command::Mandate(Box::new(given));
        let request = Request { time_ms: self.clock.now_ms(), ..self.domain.asked_order(command) };
        let signed = self.members.named(&by).sign(&request, self.domain.origin());
        let answer = self.send(To::Order, &signed);
        if answer.is_none() || self.chance.one_in(4) {
            self.network.push((To::Order, signed));
        }
        if let Some(Answer::Done(receipt)) = answer {
            let ledger = self.domain.origin().clone();
            let mandate = EntryRef { ledger, index: receipt.index.get(), entry: receipt.hash() };
            self.report.mandates += u64::from(!receipt.repeated);
            self.mandates.push(Mandated { mandate, to, scope });
        }
    }

    /// A mandate to act under, mostly one that is for this agent, and mostly a new one.
    pub(super) fn a_mandate(&mut self, agent: Option<&str>) -> Option<Mandated> {
        let any = self.chance.one_in(12);
        let fits = |one: &&Mandated| any || agent.is_none_or(|agent| one.to == agent);
        let among: Vec<_> = self.mandates.iter().filter(fits).cloned().collect();
        if among.is_empty() {
            return None;
        }
        let newest = if self.chance.one_in(4) { among.len() } else { among.len().min(3) };
        Some(among[among.len() - 1 - self.chance.place(newest)].clone())
    }

    fn scope(&mut self) -> Scope {
        let now_ms = self.clock.now_ms();
        let from_ms = now_ms - if self.chance.one_in(8) { 0 } else { MINUTE_MS };
        let until_ms = now_ms + 1 + self.chance.below(4 * MINUTE_MS);
        let programs = if self.chance.one_in(3) { only("/usr/bin/make") } else { beneath("/usr/bin") };
        Scope::new(ScopeFields {
            uses: if self.chance.one_in(2) { Positive::new(1 + self.chance.below(3)) } else { None },
            depth: None,
            window: Window::new(from_ms, until_ms).unwrap(),
            folders: None,
            contents: None,
            gateways: None,
            programs: if self.chance.one_in(4) { None } else { Some(programs) },
            surroundings: None,
        })
        .unwrap()
    }

    /// Within another, as whoever hands it on wants to be obeyed.
    fn narrowed(&mut self, scope: &Scope) -> Scope {
        let mut fields: ScopeFields = (**scope).clone();
        if self.chance.one_in(3) {
            let uses = 1 + self.chance.below(2);
            fields.uses = Positive::new(fields.uses.map_or(uses, |above| uses.min(above.get())));
        }
        if self.chance.one_in(3) {
            let (from_ms, until_ms) = (fields.window.from_ms(), fields.window.until_ms());
            let sooner = from_ms + 1 + self.chance.below(until_ms - from_ms);
            fields.window = Window::new(from_ms, sooner).unwrap();
        }
        if self.chance.one_in(3) {
            fields.programs = Some(only("/usr/bin/make"));
        }
        Scope::new(fields).unwrap()
    }
}

fn only(path: &str) -> Among<Program> {
    Among::new([Program { file: File::Exact(Path::new(path).unwrap()), argv: None }]).unwrap()
}

fn beneath(path: &str) -> Among<Program> {
    Among::new([Program { file: File::Beneath(Path::new(path).unwrap()), argv: None }]).unwrap()
}
