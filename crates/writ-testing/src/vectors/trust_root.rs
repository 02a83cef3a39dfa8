use super::BASE_MS;
use super::assembly::verifier;
use super::case::{Case, Maker, hex};
use crate::scenario::{Domain, ORIGIN, SecretPair};
use serde_json::json;
use writ_protocol::Code::{self, Malformed, UnsupportedVersion};
use writ_protocol::TrustRoot;

const OTHER: &str = "writ.example/ledger/other";

pub(super) fn cases() -> Vec<Case> {
    let mut maker = Maker::new("trust-root", "trust-root");
    let domain = Domain::new(BASE_MS);
    let good = domain.trust_root().to_string();
    accepted(&domain, &good, &mut maker);
    lines(&good, &mut maker);
    groups(&domain, &good, &mut maker);
    keys(&domain, &good, &mut maker);
    maker.done()
}

/// The part of a ledger, from its line on.
fn ledger(domain: &Domain) -> String {
    let root = domain.trust_root().to_string();
    root[root.find("ledger ").unwrap()..].to_owned()
}

/// A group of keys of the ledger from a size on.
fn group(from: &str, keys: &SecretPair) -> String {
    let origin = Domain::new(BASE_MS).origin().clone();
    let keys: Vec<String> = keys.both().map(|key| format!("key {}\n", verifier(&origin, key).to_vkey())).to_vec();
    format!("keys {from}\n{}", keys.concat())
}

fn accepted(domain: &Domain, good: &str, maker: &mut Maker) {
    let id = hex(domain.id().as_bytes());
    let mut accept = |name: &str, about: &str, text: &str, ledgers: &[&str]| {
        maker.accept(name, about, json!({ "text": text }), json!({ "domain": id, "ledgers": ledgers }));
    };
    accept("one_ledger", "A domain with one ledger.", good, &[ORIGIN]);
    let mut rotated = domain.pinned_ledger();
    rotated.rotate(100, SecretPair::new("second").key_pair()).unwrap();
    rotated.rotate(u64::MAX, SecretPair::new("third").key_pair()).unwrap();
    let rotated = TrustRoot::new(domain.id(), rotated).to_string();
    accept("rotated_keys", "A ledger whose keys were replaced twice, at the largest size too.", &rotated, &[ORIGIN]);
    let again = format!("{good}{}", group("50", domain.ledger_keys()));
    accept("same_keys_again", "A group may hold the keys of another.", &again, &[ORIGIN]);
    let other = Domain::at(OTHER, BASE_MS);
    accept("two_ledgers", "A domain with two ledgers.", &format!("{good}{}", ledger(&other)), &[ORIGIN, OTHER]);
}

fn lines(good: &str, maker: &mut Maker) {
    let mut bad =
        |name: &str, about: &str, text: &str, code: Code| maker.refuse(name, about, json!({ "text": text }), code);
    bad("version_2", "A newer trust root.", &good.replacen("@v1", "@v2", 1), UnsupportedVersion);
    bad("version_none", "A trust root without a version.", &good.replacen("@v1", "@", 1), UnsupportedVersion);
    bad("version_suffix", "A version that goes on.", &good.replacen("@v1", "@v10", 1), UnsupportedVersion);
    bad("header_other", "Another file.", &good.replacen("writ/trust-root@v1", "writ/mark@v1", 1), Malformed);
    bad("header_missing", "No first line.", good.split_once('\n').unwrap().1, Malformed);
    bad("header_capital", "The first line in capitals.", &good.replacen("writ/trust", "WRIT/trust", 1), Malformed);
    bad("empty", "No bytes.", "", Malformed);
    bad("header_alone", "The first line alone.", "writ/trust-root@v1\n", Malformed);
    let without = |field: &str| {
        let mut found = false;
        let keep = |line: &&str| !line.starts_with(field) || std::mem::replace(&mut found, true);
        good.split_inclusive('\n').filter(keep).collect::<String>()
    };
    for field in ["domain", "ledger", "genesis", "keys", "key "] {
        let name = field.trim();
        bad(&format!("without_{name}"), &format!("The first line {name} is missing."), &without(field), Malformed);
    }
    let last = good.trim_end().rsplit_once('\n').unwrap().0;
    bad("without_second_key", "The second key is missing.", &format!("{last}\n"), Malformed);
    for field in ["domain", "ledger", "genesis", "keys", "key"] {
        let line = good.lines().find(|line| line.starts_with(&format!("{field} "))).unwrap();
        let twice = good.replacen(line, &format!("{line}\n{line}"), 1);
        bad(&format!("line_{field}_twice"), &format!("The line {field} stands twice."), &twice, Malformed);
        let spaces = good.replacen(&format!("\n{field} "), &format!("\n{field}  "), 1);
        bad(&format!("line_{field}_two_spaces"), &format!("Two spaces in the line {field}."), &spaces, Malformed);
        let more = good.replacen(line, &format!("{line} more"), 1);
        bad(&format!("line_{field}_more"), &format!("A field more in the line {field}."), &more, Malformed);
        let capital = good.replacen(&format!("\n{field} "), &format!("\n{} ", field.to_uppercase()), 1);
        bad(&format!("line_{field}_capital"), &format!("The line {field} in capitals."), &capital, Malformed);
    }
    bad("no_final_newline", "No newline at the end.", good.trim_end(), Malformed);
    bad("empty_line_at_end", "An empty line at the end.", &format!("{good}\n"), Malformed);
    bad("empty_line_within", "An empty line before a ledger.", &good.replacen("\nledger", "\n\nledger", 1), Malformed);
    let (first, rest) = good.split_once('\n').unwrap();
    let crlf = format!("{first}\n{}", rest.replace('\n', "\r\n"));
    bad("crlf", "Lines after the first that end with carriage returns.", &crlf, Malformed);
    bad("comment", "A comment.", &good.replacen("\nledger", "\n# home\nledger", 1), Malformed);
    bad("unknown_line", "A line that there is not.", &format!("{good}witness w\n"), Malformed);
    let not_utf8 = [good.as_bytes(), b"\xff\n"].concat();
    maker.refuse("not_utf8", "Bytes that are no text.", json!({ "hex": hex(&not_utf8) }), Malformed);
}

fn groups(domain: &Domain, good: &str, maker: &mut Maker) {
    let mut bad = |name: &str, about: &str, text: &str| maker.refuse(name, about, json!({ "text": text }), Malformed);
    let second = SecretPair::new("second");
    bad("first_group_not_0", "The first group does not begin at 0.", &good.replacen("keys 0", "keys 1", 1));
    bad("groups_same_size", "Two groups of one size.", &format!("{good}{}", group("0", &second)));
    let descending = format!("{good}{}{}", group("100", &second), group("50", &second));
    bad("groups_descending", "Groups that do not ascend.", &descending);
    bad("size_leading_zero", "A size with a leading zero.", &format!("{good}{}", group("0100", &second)));
    bad("size_too_big", "A size of 2^64.", &format!("{good}{}", group("18446744073709551616", &second)));
    bad("size_sign", "A size with a sign.", &format!("{good}{}", group("+100", &second)));
    bad("size_empty", "No size.", &format!("{good}{}", group("", &second)));
    bad("ledger_twice", "One ledger twice.", &format!("{good}{}", ledger(domain)));
    let id = domain.id().to_string();
    bad("domain_short", "A domain of 31 digits.", &good.replacen(&id, &id[..id.len() - 1], 1));
    bad(
        "domain_upper",
        "A domain in capitals.",
        &good.replacen(&id, &id.to_uppercase().replacen("DOM_", "dom_", 1), 1),
    );
    bad("domain_prefix", "An id of another kind.", &good.replacen("dom_", "clu_", 1));
    let genesis = domain.genesis_hash().to_base64();
    bad("genesis_hex", "Genesis in hex.", &good.replacen(&genesis, &hex(domain.genesis_hash().as_bytes()), 1));
    bad("genesis_unpadded", "Genesis without padding.", &good.replacen(&genesis, genesis.trim_end_matches('='), 1));
    bad(
        "genesis_short",
        "Genesis of 31 bytes.",
        &good.replacen(&genesis, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==", 1),
    );
    let plus = good.replacen(&format!("ledger {ORIGIN}"), "ledger writ+example", 1);
    bad("origin_plus", "An origin with a plus.", &plus);
}

fn keys(domain: &Domain, good: &str, maker: &mut Maker) {
    let mut bad = |name: &str, about: &str, text: &str| maker.refuse(name, about, json!({ "text": text }), Malformed);
    let keys: Vec<&str> = good.lines().filter(|line| line.starts_with("key ")).collect();
    let (first, second) = (keys[0], keys[1]);
    let third = SecretPair::new("third");
    let third = format!("key {}\n", verifier(domain.origin(), &third.ed25519).to_vkey());
    bad("three_keys", "A group of three keys.", &format!("{good}{third}"));
    let head = &good[..good.find(first).unwrap()];
    bad("keys_swapped", "The ML-DSA-44 key stands first.", &format!("{head}{second}\n{first}\n"));
    let two_ed25519 = format!("{head}{first}\n{third}");
    bad("keys_both_ed25519", "Two Ed25519 keys.", &two_ed25519);
    let other = Domain::at(OTHER, BASE_MS);
    let foreign = format!("key {}", verifier(other.origin(), &domain.ledger_keys().ed25519).to_vkey());
    bad("key_other_origin", "A key with the name of another ledger.", &good.replacen(first, &foreign, 1));
    let id = first.split('+').nth(1).unwrap();
    bad("key_id_wrong", "A key id that is not that of the key.", &good.replacen(id, "00000000", 1));
    let upper = good.replacen(&format!("+{id}+"), &format!("+{}+", id.to_uppercase()), 1);
    if upper != good {
        bad("key_id_upper", "A key id in capitals.", &upper);
    }
    bad("key_id_short", "A key id of seven digits.", &good.replacen(id, &id[..7], 1));
    bad("key_two_parts", "A key without its id.", &good.replacen(&format!("+{id}+"), "+", 1));
    let material = first.splitn(3, '+').nth(2).unwrap();
    bad("key_not_base64", "A key that is not base64.", &good.replacen(material, "!", 1));
    bad("key_empty", "No key material.", &good.replacen(&format!("+{id}+{material}"), &format!("+{id}+"), 1));
    let small = key_line(domain, &[&[1u8, 1], [0; 31].as_slice()].concat());
    bad("key_small_order", "An Ed25519 key of small order.", &good.replacen(first, &small, 1));
    let unknown =
        key_line(domain, &[&[2u8], domain.ledger_keys().ed25519.public().as_bytes().get(1..).unwrap()].concat());
    bad("key_unknown_type", "A key of a type that is not verified here.", &good.replacen(first, &unknown, 1));
}

/// A key line with a right id, whatever the key.
fn key_line(domain: &Domain, typed: &[u8]) -> String {
    use base64::Engine;
    let origin = domain.origin().as_str();
    let hash = writ_tlog::sha256(&[origin.as_bytes(), b"\n", typed].concat());
    format!("key {origin}+{}+{}", hex(&hash.as_bytes()[..4]), base64::engine::general_purpose::STANDARD.encode(typed))
}
