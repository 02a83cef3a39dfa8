use std::collections::BTreeMap;
use std::fmt;
use writ_ledger::Phase;
use writ_protocol::Code;

/// What happened in one or many schedules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Schedules.
    pub schedules: u64,
    /// Entries at their ends.
    pub entries: u64,
    /// Answers that were heard and proved.
    pub acknowledged: u64,
    /// Of them, those that were answers of an earlier time.
    pub repeated: u64,
    /// Grants that were heard of.
    pub grants: u64,
    /// Effects.
    pub effects: u64,
    /// Orders that were done, policy sets put in force, gateways renewed.
    pub orders: u64,
    /// What had to wait for approval.
    pub holds: u64,
    /// Of that, what was approved and granted.
    pub approved: u64,
    /// Of that, what whoever asked has taken back.
    pub withdrawn: u64,
    /// Grants that a gateway has asked for in somebody's name.
    pub spoken: u64,
    /// Mandates that were given.
    pub mandates: u64,
    /// Labels that executions came to carry.
    pub labelled: u64,
    /// Answers in shadow that were heard of.
    pub shadows: u64,
    /// Refusals by code, whoever refused: authority, ledger or gateway.
    pub refusals: BTreeMap<&'static str, u64>,
    /// Kills of the node by phase.
    pub kills: BTreeMap<Phase, u64>,
    /// Losses of power by phase.
    pub power_cuts: BTreeMap<Phase, u64>,
    /// Kills of gateways by what they were doing.
    pub gateways_killed: BTreeMap<&'static str, u64>,
}

impl Report {
    pub(super) fn refused(&mut self, code: Code) {
        *self.refusals.entry(code.as_str()).or_default() += 1;
    }

    /// Takes in another one.
    pub fn add(&mut self, other: &Self) {
        self.schedules += other.schedules;
        self.entries += other.entries;
        self.acknowledged += other.acknowledged;
        self.repeated += other.repeated;
        self.grants += other.grants;
        self.effects += other.effects;
        self.orders += other.orders;
        self.holds += other.holds;
        self.approved += other.approved;
        self.withdrawn += other.withdrawn;
        self.spoken += other.spoken;
        self.mandates += other.mandates;
        self.labelled += other.labelled;
        self.shadows += other.shadows;
        add(&mut self.refusals, &other.refusals);
        add(&mut self.kills, &other.kills);
        add(&mut self.power_cuts, &other.power_cuts);
        add(&mut self.gateways_killed, &other.gateways_killed);
    }
}

fn add<K: Ord + Copy>(counts: &mut BTreeMap<K, u64>, more: &BTreeMap<K, u64>) {
    for (what, count) in more {
        *counts.entry(*what).or_default() += count;
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            schedules,
            entries,
            acknowledged,
            repeated,
            grants,
            effects,
            orders,
            shadows,
            holds,
            approved,
            withdrawn,
            spoken,
            mandates,
            labelled,
            ..
        } = self;
        writeln!(f, "{schedules} schedules, {entries} entries, {acknowledged} acknowledged ({repeated} repeated)")?;
        writeln!(
            f,
            "{grants} grants, {effects} effects, {orders} orders, activations and renewals, {shadows} in shadow"
        )?;
        writeln!(f, "{holds} holds, {approved} approved and granted, {withdrawn} taken back")?;
        writeln!(f, "{spoken} granted to who was spoken for, {mandates} mandates, {labelled} labels gained")?;
        let phases = |of: &BTreeMap<Phase, u64>| of.iter().map(|(at, n)| (at.as_str(), *n)).collect::<Vec<_>>();
        let named = |of: &BTreeMap<&'static str, u64>| of.iter().map(|(what, n)| (*what, *n)).collect::<Vec<_>>();
        let tables = [
            ("refusals", named(&self.refusals)),
            ("node killed in", phases(&self.kills)),
            ("power lost in", phases(&self.power_cuts)),
            ("gateway killed while", named(&self.gateways_killed)),
        ];
        for (title, rows) in tables {
            let all: u64 = rows.iter().map(|(_, count)| count).sum();
            writeln!(f, "{title}: {all}")?;
            for (what, count) in rows {
                writeln!(f, "  {what:<24} {count:>8}")?;
            }
        }
        Ok(())
    }
}
