//! Where the prover says that nothing is wider, no request is.

use crate::sets::{prover, set};
use proptest::prelude::*;

const PATHS: [&str; 3] = ["/bin/a", "/bin/b", "/opt/c"];

/// A condition that is also a function here, so that it can be asked of requests without the engine.
#[derive(Clone, Debug)]
enum Condition {
    Path(usize),
    Below(&'static str),
    ArgcAtMost(i64),
    Origin,
    HasArg(&'static str),
    Not(Box<Condition>),
    Both(Box<Condition>, Box<Condition>),
    Either(Box<Condition>, Box<Condition>),
}

struct Asked {
    path: &'static str,
    argc: i64,
    depth: i64,
    arg1: Option<&'static str>,
}

impl Condition {
    fn text(&self) -> String {
        match self {
            Self::Path(at) => format!("context.path == \"{}\"", PATHS[*at]),
            Self::Below(folder) => format!("context.path like \"{folder}/*\""),
            Self::ArgcAtMost(most) => format!("context.argc <= {most}"),
            Self::Origin => "context.depth == 0".to_owned(),
            Self::HasArg(value) => format!("(context has arg1 && context.arg1 == \"{value}\")"),
            Self::Not(it) => format!("!({})", it.text()),
            Self::Both(a, b) => format!("({} && {})", a.text(), b.text()),
            Self::Either(a, b) => format!("({} || {})", a.text(), b.text()),
        }
    }

    fn holds(&self, asked: &Asked) -> bool {
        match self {
            Self::Path(at) => asked.path == PATHS[*at],
            Self::Below(folder) => asked.path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/')),
            Self::ArgcAtMost(most) => asked.argc <= *most,
            Self::Origin => asked.depth == 0,
            Self::HasArg(value) => asked.arg1 == Some(value),
            Self::Not(it) => !it.holds(asked),
            Self::Both(a, b) => a.holds(asked) && b.holds(asked),
            Self::Either(a, b) => a.holds(asked) || b.holds(asked),
        }
    }
}

fn conditions() -> impl Strategy<Value = Condition> {
    let leaf = prop_oneof![
        (0..PATHS.len()).prop_map(Condition::Path),
        prop::sample::select(vec!["/bin", "/opt"]).prop_map(Condition::Below),
        (1_i64..4).prop_map(Condition::ArgcAtMost),
        Just(Condition::Origin),
        prop::sample::select(vec!["x", "y"]).prop_map(Condition::HasArg),
    ];
    leaf.prop_recursive(3, 8, 2, |inner| {
        prop_oneof![
            inner.clone().prop_map(|it| Condition::Not(Box::new(it))),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| Condition::Both(Box::new(a), Box::new(b))),
            (inner.clone(), inner).prop_map(|(a, b)| Condition::Either(Box::new(a), Box::new(b))),
        ]
    })
}

type Policies = Vec<(bool, Condition)>;

fn text(policies: &Policies) -> String {
    let each = policies.iter().enumerate().map(|(at, (permits, condition))| {
        let effect = if *permits { "permit" } else { "forbid" };
        let condition = condition.text();
        format!("@id(\"p{at}\") {effect} (principal, action == Action::\"exec\", resource) when {{ {condition} }};\n")
    });
    each.collect()
}

fn permits(policies: &Policies, asked: &Asked) -> bool {
    let any = |wanted| policies.iter().any(|(permits, condition)| *permits == wanted && condition.holds(asked));
    any(true) && !any(false)
}

fn requests() -> Vec<Asked> {
    let mut all = Vec::new();
    for path in ["/bin/a", "/bin/b", "/opt/c", "/bin/z", "/opt/z", "/z"] {
        for argc in 1..5 {
            for depth in 0..2 {
                for arg1 in [None, Some("x"), Some("y"), Some("z")] {
                    all.push(Asked { path, argc, depth, arg1 });
                }
            }
        }
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn the_prover_and_all_requests_of_a_small_world_agree(
        old in prop::collection::vec((any::<bool>(), conditions()), 1..4),
        change in prop::collection::vec((any::<bool>(), conditions()), 0..3),
        kept in 0_usize..4,
    ) {
        let mut new: Policies = old.iter().take(kept).cloned().collect();
        new.extend(change);
        let found = prover().widening(&set(&text(&new)), &set(&text(&old))).unwrap();
        let wider = requests().iter().any(|asked| permits(&new, asked) && !permits(&old, asked));
        // Every condition tells apart only what the requests of this world tell apart, so it is wider exactly where one of them is.
        prop_assert_eq!(!found.is_empty(), wider, "new:\n{}\nold:\n{}\n{:?}", text(&new), text(&old), found);
    }
}
