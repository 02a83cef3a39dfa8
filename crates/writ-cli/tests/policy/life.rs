//! The life of a policy in one domain, from nothing: learnt from what ran in shadow, reviewed, tested, published, judged by history, caught where it
//! would permit more, and taken back by going forward.

use super::{digest_of, error, history, in_force, publish, publish_accepting, signed};
use crate::site::{Site, json, stderr, stdout};
use serde_json::Value as Json;
use std::fs;
use std::process::Command;

/// What a reviewer writes down beside what was learnt.
const FIXTURES: &str = "\
- name: the listing that the job makes
  principal: User::ada
  auth: peer
  run: [/usr/bin/ls, acme]
  cwd: HOME
  expect: permit

- name: what ran by mistake stays out
  principal: User::ada
  auth: peer
  run: [/usr/bin/whoami]
  cwd: HOME
  expect: deny
";

fn shadow(site: &Site, argv: &[&str]) -> String {
    let ran = site.writ(&[&["run", "--shadow", "--"], argv].concat());
    assert_eq!(ran.status.code(), Some(0), "{}", stderr(&ran));
    stderr(&ran)
}

fn why(told: &Json) -> &str {
    assert_eq!(told["code"], "gate_failed", "{told}");
    told["why"].as_str().unwrap()
}

#[test]
fn from_an_empty_domain_to_a_set_that_was_widened_and_taken_back() {
    let mut site = Site::empty();
    let made = site.writ(&["init", "acme", "--origin", "acme.example/ledger", "--user", "ada", "--empty"]);
    assert_eq!(made.status.code(), Some(0), "{}", stderr(&made));
    signed(&mut site);
    let fixtures = FIXTURES.replace("HOME", &site.text("."));
    let fixtures = fixtures.replace("/.\n", "\n");

    // Nothing is permitted, and in shadow everything goes on.
    assert_eq!(site.run(&["/usr/bin/ls", "acme"]).status.code(), Some(126));
    for argv in [&["/usr/bin/ls", "acme"][..], &["/usr/bin/whoami"]] {
        assert!(shadow(&site, argv).contains("policy_denied"));
    }

    // Learnt, and reviewed: one line is struck out, and a fixture says so.
    assert_eq!(site.writ(&["policy", "learn", "--shadow", "-o", "learned"]).status.code(), Some(0));
    let learned = site.path("learned/learned.cedar");
    let text = fs::read_to_string(&learned).unwrap();
    let policies: Vec<&str> = text.split_inclusive("};\n").collect();
    let (mistaken, kept): (Vec<&str>, Vec<&str>) =
        policies.iter().partition(|policy| policy.contains("/usr/bin/whoami"));
    assert_eq!((mistaken.len(), kept.iter().filter(|policy| policy.contains("permit")).count()), (1, 1), "{text}");
    fs::create_dir_all(site.path("learned/tests")).unwrap();
    fs::write(site.path("learned/tests/reviewed.yaml"), &fixtures).unwrap();
    assert_eq!(site.writ(&["policy", "test", "learned"]).status.code(), Some(1));
    fs::write(&learned, kept.concat()).unwrap();
    let tested = site.writ(&["policy", "test", "learned"]);
    assert_eq!(tested.status.code(), Some(0), "{}", stdout(&tested));

    // Published: it permits more than nothing, which both gates tell and the authors accept by name.
    let told = error(&publish(&site, "learned"));
    assert!(why(&told).contains("the gate `no_wider` is not passed"), "{told}");
    let told = error(&publish_accepting(&site, "learned", "wider"));
    assert!(why(&told).contains("newly permitted: 2 of the 3 decisions"), "{told}");
    json(&publish_accepting(&site, "learned", "wider,history:newly_permitted"));
    let first = in_force(&site);
    assert_eq!(first, (2, digest_of(&site, &site.path("learned"))));
    assert_eq!(site.run(&["/usr/bin/ls", "acme"]).status.code(), Some(0));
    assert_eq!(site.run(&["/usr/bin/whoami"]).status.code(), Some(126));
    assert_eq!(shadow(&site, &["/usr/bin/ls", "acme"]), "");

    // History: whoever was answered since is answered the same; before, the domain was empty.
    let tried = json_of_backtest(&site, "learned");
    assert_eq!(tried["counts"]["newly_permitted"], 2, "{tried}");
    assert_eq!(tried["counts"]["newly_denied"], 0, "{tried}");

    // A change that permits more than it says is caught, with a request that shows it.
    assert!(Command::new("cp").args(["-r", &site.text("learned"), &site.text("wider")]).status().unwrap().success());
    let any = "@id(\"any-listing\")\npermit (principal, action == Action::\"exec\", resource) when { context.path like \"/usr/bin/*\" };\n";
    fs::write(site.path("wider/more.cedar"), any).unwrap();
    fs::write(site.path("wider/tests/reviewed.yaml"), fixtures.split("\n\n").next().unwrap()).unwrap();
    let told = error(&publish(&site, "wider"));
    assert!(why(&told).contains("`any-listing` makes the set wider") && why(&told).contains("/usr/bin/"), "{told}");
    assert_eq!(in_force(&site), first);
    json(&publish_accepting(&site, "wider", "policy:any-listing,history:newly_permitted"));
    assert_eq!(site.run(&["/usr/bin/whoami"]).status.code(), Some(0));

    // Back to the set before, as the next one: somebody has used what goes, and that is told.
    let told = error(&publish(&site, "learned"));
    assert!(why(&told).contains("newly denied: 3 of the 7 decisions"), "{told}");
    assert!(why(&told).contains("1 x User::ada exec \"/usr/bin/whoami\" in shadow, permit by any-listing"), "{told}");
    json(&publish_accepting(&site, "learned", "history:newly_denied"));
    assert_eq!(in_force(&site), (4, first.1));
    assert_eq!(site.run(&["/usr/bin/whoami"]).status.code(), Some(126));
    let told = history(&site);
    assert_eq!((told["epochs"].as_array().unwrap().len(), told["refused"].as_array().unwrap().len()), (4, 4), "{told}");
    site.audit();
}

fn json_of_backtest(site: &Site, folder: &str) -> Json {
    let tried = site.writ(&["--json", "policy", "backtest", folder]);
    assert_eq!(tried.status.code(), Some(1), "{}", stderr(&tried));
    serde_json::from_str(&stdout(&tried)).unwrap()
}
