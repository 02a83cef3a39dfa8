//! The laws of scopes: to be within is reflexive and transitive, and what a narrower scope contains the wider one contains (Invariant 8). Each kind of
//! constraint by itself is judged by the vectors.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;
use writ_protocol::action::{Exec, ExecFields, Interpreter, Stdin, Variables};
use writ_protocol::cbor::{Decode, Encode};
use writ_protocol::entry::{Positive, Window};
use writ_protocol::scope::{
    Among, Asked, Beginning, File, Measured, Path, Place, Places, Program, SCOPE_BYTES_MAX, Scope, ScopeFields,
};
use writ_protocol::{Code, Label, Name};
use writ_tlog::{Hash, sha256};

/// Few of everything, so that scopes often meet.
const PATHS: [&str; 7] = ["/", "/a", "/a/b", "/a/b/c", "/a/bc", "/d", "/d/a"];
/// Paths as actions may have them.
const FOUND: [&str; 9] = ["/a", "/a/b", "/a/b/c", "/a/bc", "/d/a", "/a/../d", "/a//b", "/a/./b", "/a/"];
const WORDS: [&str; 3] = ["x", "y", ""];

fn label(text: &str) -> Label {
    Label::new(text).unwrap()
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn words(length: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Vec<u8>>> {
    vec(select(&WORDS).prop_map(|word| word.as_bytes().to_vec()), length)
}

fn path() -> impl Strategy<Value = Path> {
    select(&PATHS).prop_map(|path| Path::new(path).unwrap())
}

fn among<T: Ord + std::fmt::Debug>(one: impl Strategy<Value = T>) -> impl Strategy<Value = Option<Among<T>>> {
    of(vec(one, 1..4).prop_map(|items| Among::new(items).unwrap()))
}

fn digest() -> impl Strategy<Value = Hash> {
    (0u8..3).prop_map(|number| sha256(&[number]))
}

fn program() -> impl Strategy<Value = Program> {
    let file =
        (path(), any::<bool>()).prop_map(|(path, exact)| if exact { File::Exact(path) } else { File::Beneath(path) });
    (file, of(words(1..3).prop_map(|argv| Beginning::new(argv).unwrap())))
        .prop_map(|(file, argv)| Program { file, argv })
}

fn places() -> impl Strategy<Value = Option<Places>> {
    let values = vec(select(&WORDS), 1..3);
    let place = (select(&["host", "uid"][..]), values);
    of(vec(place, 1..3).prop_map(|places| {
        let mut places: Vec<_> = places
            .into_iter()
            .map(|(name, values)| Place {
                name: label(name),
                values: Among::new(values.into_iter().map(|value| Measured(value.to_owned()))).unwrap(),
            })
            .collect();
        places.sort_by(|a, b| a.name.cmp(&b.name));
        places.dedup_by(|a, b| a.name == b.name);
        Places::new(places).unwrap()
    }))
}

prop_compose! {
    fn scope()(
        uses in of(1u64..4),
        depth in of(0u64..3),
        from_ms in 0u64..4,
        lasts_ms in 1u64..6,
        folders in among(path()),
        contents in among(digest()),
        gateways in among(select(&["g1", "g2", "g3"][..]).prop_map(name)),
        programs in among(program()),
        surroundings in places(),
    ) -> Scope {
        Scope::new(ScopeFields {
            uses: uses.and_then(Positive::new),
            depth,
            window: Window::new(from_ms, from_ms + lasts_ms).unwrap(),
            folders,
            contents,
            gateways,
            programs,
            surroundings,
        }).unwrap()
    }
}

/// A scope, and often another that was made of it by taking something away.
fn narrowed(from: Scope) -> impl Strategy<Value = Scope> {
    (scope(), any::<[bool; 9]>()).prop_map(move |(other, taken)| {
        let (own, other) = ((*from).clone(), (*other).clone());
        let [uses, depth, window, folders, contents, gateways, programs, surroundings, anything] = taken;
        if anything {
            return Scope::new(other).unwrap();
        }
        Scope::new(ScopeFields {
            uses: if uses { other.uses } else { own.uses },
            depth: if depth { other.depth } else { own.depth },
            window: if window { other.window } else { own.window },
            folders: if folders { other.folders } else { own.folders },
            contents: if contents { other.contents } else { own.contents },
            gateways: if gateways { other.gateways } else { own.gateways },
            programs: if programs { other.programs } else { own.programs },
            surroundings: if surroundings { other.surroundings } else { own.surroundings },
        })
        .unwrap()
    })
}

/// What is asked for, by parts.
#[derive(Clone, Debug)]
struct Request {
    exec: Exec,
    now_ms: u64,
    depth: u64,
    gateway: Name,
    surroundings: Vec<(Label, String)>,
}

impl Request {
    fn asked(&self) -> Asked<'_> {
        let Self { exec, now_ms, depth, gateway, surroundings } = self;
        Asked { exec, now_ms: *now_ms, depth: *depth, gateway, surroundings }
    }
}

prop_compose! {
    fn request()(
        path in select(&FOUND[..]),
        cwd in select(&FOUND[..]),
        argv in words(1..4),
        executable in digest(),
        interpreter in of(digest()),
        now_ms in 0u64..10,
        depth in 0u64..4,
        gateway in select(&["g1", "g2", "g4"][..]),
        host in of(select(&WORDS)),
        uid in of(select(&WORDS)),
    ) -> Request {
        let surroundings = [("host", host), ("uid", uid)].into_iter();
        Request {
            exec: Exec::new(ExecFields {
                cwd: cwd.as_bytes().to_vec(),
                argv,
                path: path.as_bytes().to_vec(),
                variables: Variables::new([]).unwrap(),
                stdin: Stdin::Null,
                executable,
                interpreter: interpreter.map(|digest| Interpreter { path: b"/bin/sh".to_vec(), digest }),
            }).unwrap(),
            now_ms,
            depth,
            gateway: name(gateway),
            surroundings: surroundings.filter_map(|(name, value)| Some((label(name), value?.to_owned()))).collect(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { max_global_rejects: 200_000, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn every_scope_is_within_itself(scope in scope()) {
        prop_assert_eq!(scope.narrows(&scope), Ok(()));
    }

    #[test]
    fn what_is_within_what_is_within_is_within(
        (wide, middle, narrow) in scope().prop_flat_map(|wide| {
            narrowed(wide.clone()).prop_flat_map(move |middle| (Just(wide.clone()), Just(middle.clone()), narrowed(middle)))
        }),
    ) {
        prop_assume!(middle.narrows(&wide).is_ok() && narrow.narrows(&middle).is_ok());
        prop_assert_eq!(narrow.narrows(&wide), Ok(()));
    }

    /// Nothing escapes: this is what delegation rests on.
    #[test]
    fn what_the_narrower_contains_the_wider_contains(
        (wide, narrow) in scope().prop_flat_map(|wide| (Just(wide.clone()), narrowed(wide))),
        requests in vec(request(), 24),
    ) {
        prop_assume!(narrow.narrows(&wide).is_ok());
        for request in requests {
            if narrow.contains(&request.asked()).is_ok() {
                prop_assert_eq!(wide.contains(&request.asked()), Ok(()), "{:?}", request);
            }
        }
    }

    /// A path with `..` in it is in no folder, and what is beneath `/a` is never `/ab`.
    #[test]
    fn paths_that_could_lead_elsewhere_are_within_nothing(scope in scope(), request in request()) {
        let leads = |path: &[u8]| path.ends_with(b"/") || [b"/../".as_slice(), b"//", b"/./"].iter().any(|part| path.windows(part.len()).any(|found| found == *part));
        if scope.programs.is_some() && leads(&request.exec.path) || scope.folders.is_some() && leads(&request.exec.cwd) {
            prop_assert!(scope.contains(&request.asked()).is_err());
        }
    }

    #[test]
    fn reads_what_it_writes(scope in scope()) {
        let bytes = scope.to_cbor();
        prop_assert_eq!(Scope::from_cbor(&bytes).unwrap().to_cbor(), bytes);
    }
}

#[test]
fn a_scope_that_an_entry_could_not_hold_is_none() {
    let programs = |count: usize| {
        let path = |number| Path::new(format!("/{number:0>200}")).unwrap();
        Among::new((0..count).map(|number| Program { file: File::Exact(path(number)), argv: None })).unwrap()
    };
    let of = |count| {
        Scope::new(ScopeFields {
            uses: None,
            depth: None,
            window: Window::new(1, 2).unwrap(),
            folders: None,
            contents: None,
            gateways: None,
            programs: Some(programs(count)),
            surroundings: None,
        })
    };
    assert!(of(70).is_ok());
    assert!(of(SCOPE_BYTES_MAX / 200).is_err());
}

#[test]
fn its_end_is_no_longer_within_it_and_its_beginning_is() {
    let fields = ScopeFields {
        uses: None,
        depth: None,
        window: Window::new(10, 20).unwrap(),
        folders: None,
        contents: None,
        gateways: None,
        programs: None,
        surroundings: None,
    };
    let scope = Scope::new(fields).unwrap();
    let at = |now_ms| scope.lasts(now_ms).map_err(|refusal| refusal.code());
    assert_eq!([at(9), at(10), at(19), at(20)], [Err(Code::NotYetValid), Ok(()), Ok(()), Err(Code::Expired)]);
}
