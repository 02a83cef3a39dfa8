//! From what was done to the policies that permit just that: each with its evidence, and with each place where it permits more than was seen.

use crate::policy_set::PolicySet;
use crate::text::{command_text, text_of_bytes};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use writ_protocol::Name;
use writ_protocol::action::Exec;
use writ_tlog::Hash;

/// So many commands, folders or first arguments are written out; beyond that a policy says less and permits more, and says so.
pub const WRITTEN_MAX: usize = 16;
/// Of one program so many commands, folders and first arguments are told apart.
const APART_MAX: usize = 4_096;

/// One execution that was asked for.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// Where it stands in the ledger.
    pub index: u64,
    /// When it was decided, in milliseconds since 1970.
    pub time_ms: u64,
    /// Who asked: type and id.
    pub principal: (&'a Name, &'a Name),
    /// How the principal was authenticated.
    pub auth: &'a str,
    /// Steps from the origin of the lineage.
    pub depth: u64,
    /// What was executed.
    pub exec: &'a Exec,
    /// The policies that permitted it, if it was permitted.
    pub permits: &'a [Name],
    /// Whether it was asked in shadow, where nothing was enforced.
    pub shadow: bool,
}

/// What was seen, by who and which program.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    programs: BTreeMap<(String, String, Vec<u8>), Program>,
    total: u64,
}

/// Where something was seen, and how often.
#[derive(Clone, Copy, Debug)]
struct Evidence {
    count: u64,
    /// Of those, in shadow.
    shadow: u64,
    first: (u64, u64),
    last: (u64, u64),
}

/// What one principal did with one program.
#[derive(Clone, Debug)]
struct Program {
    all: Evidence,
    commands: Values<String>,
    first_arguments: Values<String>,
    folders: Values<String>,
    digests: BTreeSet<Hash>,
    auths: BTreeSet<String>,
    depth_max: u64,
    argc_max: usize,
    /// Whether it was ever asked for without any argument.
    bare: bool,
    permits: BTreeSet<Name>,
}

/// Values with their evidence; nothing once there are too many to tell apart.
#[derive(Clone, Debug)]
struct Values<T>(Option<BTreeMap<T, Evidence>>);

impl Evidence {
    fn one(seen: &Seen<'_>) -> Self {
        let place = (seen.index, seen.time_ms);
        Self { count: 1, shadow: u64::from(seen.shadow), first: place, last: place }
    }

    fn join(&mut self, more: Self) {
        self.count += more.count;
        self.shadow += more.shadow;
        self.first = self.first.min(more.first);
        self.last = self.last.max(more.last);
    }

    fn text(self) -> String {
        let at = |ms: u64| crate::calendar::Moment::from_ms(ms).map_or_else(|| format!("{ms} ms"), |at| at.full());
        let ((first, first_ms), (last, last_ms)) = (self.first, self.last);
        let shadow = match self.shadow {
            0 => String::new(),
            shadow if shadow == self.count => " in shadow".to_owned(),
            shadow => format!(" ({shadow} in shadow)"),
        };
        match self.count {
            1 => format!("once{shadow}, entry {first}, {}", at(first_ms)),
            count => format!("{count} times{shadow}, entries {first} to {last}, {} to {}", at(first_ms), at(last_ms)),
        }
    }
}

impl<T: Ord> Values<T> {
    fn add(&mut self, value: T, evidence: Evidence) {
        let Some(values) = &mut self.0 else { return };
        values.entry(value).and_modify(|known| known.join(evidence)).or_insert(evidence);
        if values.len() > APART_MAX {
            self.0 = None;
        }
    }

    /// All of them, if they are few enough to be written out.
    fn written(&self) -> Option<&BTreeMap<T, Evidence>> {
        self.0.as_ref().filter(|values| values.len() <= WRITTEN_MAX)
    }

    fn count(&self) -> String {
        self.0.as_ref().map_or_else(|| format!("more than {APART_MAX}"), |values| values.len().to_string())
    }
}

impl<T> Default for Values<T> {
    fn default() -> Self {
        Self(Some(BTreeMap::new()))
    }
}

impl Observed {
    /// Takes in one execution.
    pub fn add(&mut self, seen: &Seen<'_>) {
        let (kind, id) = seen.principal;
        let evidence = Evidence::one(seen);
        let key = (kind.to_string(), id.to_string(), seen.exec.path.clone());
        let program = self.programs.entry(key).or_insert_with(|| Program {
            all: Evidence { count: 0, shadow: 0, ..evidence },
            commands: Values::default(),
            first_arguments: Values::default(),
            folders: Values::default(),
            digests: BTreeSet::new(),
            auths: BTreeSet::new(),
            depth_max: 0,
            argc_max: 0,
            bare: false,
            permits: BTreeSet::new(),
        });
        self.total += 1;
        program.all.join(evidence);
        program.commands.add(command_text(seen.exec.argv.iter().map(Vec::as_slice)), evidence);
        match seen.exec.argv.get(1) {
            Some(first) => program.first_arguments.add(text_of_bytes(first), evidence),
            None => program.bare = true,
        }
        program.folders.add(text_of_bytes(&seen.exec.cwd), evidence);
        program.digests.insert(seen.exec.executable);
        program.auths.insert(seen.auth.to_owned());
        program.depth_max = program.depth_max.max(seen.depth);
        program.argc_max = program.argc_max.max(seen.exec.argv.len());
        program.permits.extend(seen.permits.iter().cloned());
    }

    /// How many executions were taken in.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Permits for what was seen and as little else as can be said, in place of the permits of executions that `active` has.
    pub fn propose(&self, active: &PolicySet) -> Proposal {
        let (replaced, wider): (Vec<Name>, Vec<Name>) = active.permits_of_executions();
        let taken: BTreeSet<&Name> = active.ids().filter(|id| !replaced.contains(id)).collect();
        let mut proposal = Proposal { replaced, wider, ..Proposal::default() };
        let mut number = 0;
        for ((kind, id, path), program) in &self.programs {
            let id = (kind.as_str(), id.as_str());
            let name = loop {
                number += 1;
                match Name::new(format!("learned/{number}")) {
                    Ok(name) if !taken.contains(&name) => break name,
                    Ok(_) => {}
                    // A number is always a name.
                    Err(_) => return proposal,
                }
            };
            program.write(&name, id, &text_of_bytes(path), active, &mut proposal);
        }
        proposal
    }
}

/// Policies that were learnt.
#[derive(Clone, Debug, Default)]
pub struct Proposal {
    /// Their text, for a file of its own. Every line that permits stands below its evidence.
    pub text: String,
    /// Permits of executions that they take the place of.
    pub replaced: Vec<Name>,
    /// Permits that permit executions and other things besides: they stay, and permit what they did.
    pub wider: Vec<Name>,
    /// Where a policy permits more than was seen.
    pub generalised: Vec<Generalised>,
    /// How many policies.
    pub policies: usize,
}

/// A place where a policy permits more than was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generalised {
    /// In which policy.
    pub policy: Name,
    /// What it leaves open, and why.
    pub what: String,
}

impl Program {
    fn write(&self, name: &Name, (kind, id): (&str, &str), path: &str, active: &PolicySet, to: &mut Proposal) {
        let mut open = vec!["the program by its path, whatever its digest".to_owned()];
        let mut conditions = vec![self.command(&mut open)];
        conditions.push(match self.folders.written() {
            Some(folders) => vec![list(folders, "context.cwd")],
            None => {
                open.push(format!("any working folder, of {} seen", self.folders.count()));
                Vec::new()
            }
        });
        let steps =
            if self.depth_max == 0 { "started from outside".to_owned() } else { format!("at most {}", self.depth_max) };
        conditions
            .push(vec![format!("  // never further from the origin: {steps}\n  context.depth <= {}", self.depth_max)]);
        if let (Some(auth), 1) = (self.auths.first(), self.auths.len()) {
            conditions.push(vec![format!("  // never otherwise\n  context.auth == {}", literal(auth))]);
        }
        let text = &mut to.text;
        // Only numbers and times of ours stand in comments: what somebody asked for could end the line.
        writeln!(text, "// Seen {}; {}.", self.all.text(), plural(self.digests.len(), "digest")).ok();
        for what in &open {
            writeln!(text, "// Permits more than was seen: {what}.").ok();
        }
        writeln!(text, "@id(\"{name}\")").ok();
        let about = format!("{kind}::{id} runs {path}, learnt from history");
        writeln!(text, "@description({})", literal(&about)).ok();
        for annotation in self.terms(active) {
            writeln!(text, "{annotation}").ok();
        }
        writeln!(text, "permit (\n  principal == {kind}::{},", literal(id)).ok();
        writeln!(text, "  action == Action::\"exec\",\n  resource == Executable::{}\n) when {{", literal(path)).ok();
        let conditions: Vec<String> = conditions.into_iter().flatten().collect();
        writeln!(text, "{}\n}};\n", conditions.join(" &&\n")).ok();
        to.policies += 1;
        to.generalised.extend(open.into_iter().map(|what| Generalised { policy: name.clone(), what }));
    }

    /// Exactly the commands that were seen; else their first arguments; else how many arguments there were.
    fn command(&self, open: &mut Vec<String>) -> Vec<String> {
        if let Some(commands) = self.commands.written() {
            return vec![list(commands, "context.command")];
        }
        let most = format!("  // never more arguments\n  context.argc <= {}", self.argc_max);
        match self.first_arguments.written().filter(|_| !self.bare) {
            Some(firsts) => {
                open.push(format!("anything after the first argument, of {} commands seen", self.commands.count()));
                vec!["  context has arg1".to_owned(), list(firsts, "context.arg1"), most]
            }
            None => {
                open.push(format!("any arguments, of {} commands seen", self.commands.count()));
                vec![most]
            }
        }
    }

    /// The terms of the permits that it takes the place of: all of each, since the stricter holds; and the labels of all of them.
    fn terms(&self, active: &PolicySet) -> Vec<String> {
        let permits: Vec<_> = self.permits.iter().filter_map(|id| active.policies.get(id)).collect();
        let labels: BTreeSet<&str> =
            permits.iter().flat_map(|permit| permit.terms.labels.iter().map(writ_protocol::Label::as_str)).collect();
        let mut kept = Vec::new();
        if let [permit] = permits.as_slice() {
            let names = ["window", "freeze_after", "kill_after", "sandbox", "budget"];
            let annotated = |name| Some(format!("@{name}({})", literal(&permit.clause.annotation(name)?)));
            kept.extend(names.into_iter().filter_map(annotated));
        }
        if !labels.is_empty() {
            kept.push(format!("@label({})", literal(&labels.into_iter().collect::<Vec<_>>().join(", "))));
        }
        kept
    }
}

fn list(values: &BTreeMap<String, Evidence>, attribute: &str) -> String {
    let mut text = String::from("  [\n");
    for (at, (value, evidence)) in values.iter().enumerate() {
        let comma = if at + 1 < values.len() { "," } else { "" };
        writeln!(text, "    // {}\n    {}{comma}", evidence.text(), literal(value)).ok();
    }
    write!(text, "  ].contains({attribute})").ok();
    text
}

fn plural(count: usize, one: &str) -> String {
    if count == 1 { format!("one {one}") } else { format!("{count} {one}s") }
}

/// A text as policies write it; what is not plain is escaped, so that it looks like what it is.
fn literal(text: &str) -> String {
    let mut written = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => written.extend(['\\', c]),
            ' '..='~' => written.push(c),
            c => written.push_str(&format!("\\u{{{:x}}}", u32::from(c))),
        }
    }
    written.push('"');
    written
}
