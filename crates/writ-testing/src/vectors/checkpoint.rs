use super::BASE_MS;
use super::assembly::{cosigned, ed25519_line, line, ml_dsa_line, note, signed_by, verifier};
use super::case::{Case, Maker, hex};
use super::mutation::flipped;
use crate::scenario::{Domain, ORIGIN, Secret, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use writ_protocol::Code::{self, Malformed, SignatureInvalid, UnknownAuthority};
use writ_tlog::{Algorithm, Checkpoint, Origin, TreeSize, empty_root};

pub(super) fn cases() -> Vec<Case> {
    let domain = Domain::new(BASE_MS);
    let mut maker = Maker::new("ledger", "checkpoint");
    accepted(&domain, &mut maker);
    texts(&domain, &mut maker);
    lines(&domain, &mut maker);
    line_signatures(&domain, &mut maker);
    too_many_lines(&domain, &mut maker);
    notes(&domain, &mut maker);
    notes_base64(&domain, &mut maker);
    maker.done()
}

fn checkpoint(size: u64) -> Checkpoint {
    Checkpoint { origin: Origin::new(ORIGIN).unwrap(), size: TreeSize::new(size), root: digest("root") }
}

fn input(domain: &Domain, note: &[u8]) -> Value {
    let vkeys = domain.ledger_keys().both().map(|key| verifier(domain.origin(), key).to_vkey());
    match std::str::from_utf8(note) {
        Ok(text) => json!({ "text": text, "origin": ORIGIN, "vkeys": vkeys }),
        Err(_) => json!({ "hex": hex(note), "origin": ORIGIN, "vkeys": vkeys }),
    }
}

/// A checkpoint whose text is not what the type would write, signed all the same.
fn signed_text(domain: &Domain, text: &str) -> Vec<u8> {
    let keys = domain.ledger_keys();
    let key_id = verifier(domain.origin(), &keys.ed25519).key_id();
    let ed25519 = line(ORIGIN, key_id, &keys.ed25519.sign(text.as_bytes()));
    note(text, &[ed25519, ml_dsa_line(&checkpoint(7), &keys.ml_dsa_44)])
}

fn accepted(domain: &Domain, maker: &mut Maker) {
    let keys = domain.ledger_keys();
    let mut good = |name: &str, about: &str, size: &str, root: &str, note: &[u8]| {
        maker.accept(name, about, input(domain, note), json!({ "size": size, "root": root }));
    };
    let root = hex(digest("root").as_bytes());
    good("checkpoint_good", "A checkpoint signed with both keys.", "7", &root, &signed_by(&checkpoint(7), keys));
    let largest = checkpoint(u64::MAX);
    good("checkpoint_largest", "The largest size.", "18446744073709551615", &root, &signed_by(&largest, keys));
    let empty = Checkpoint { root: empty_root(), ..checkpoint(0) };
    good(
        "checkpoint_empty_tree",
        "The tree without entries.",
        "0",
        &hex(empty_root().as_bytes()),
        &signed_by(&empty, keys),
    );
    let (first, second) = (ed25519_line(&checkpoint(7), &keys.ed25519), ml_dsa_line(&checkpoint(7), &keys.ml_dsa_44));
    let text = checkpoint(7).body();
    good(
        "checkpoint_lines_swapped",
        "The order of the lines does not count.",
        "7",
        &root,
        &note(&text, &[second.clone(), first.clone()]),
    );
    let witness = line("witness.example", 0x0102_0304, &[9; 72]);
    let another = line(ORIGIN, 0x0506_0708, &[9; 64]);
    good(
        "checkpoint_unknown_line",
        "A line of somebody else is ignored.",
        "7",
        &root,
        &note(&text, &[first.clone(), witness.clone(), second.clone()]),
    );
    good(
        "checkpoint_unknown_line_same_name",
        "A line of a key with the ledger's name that is not pinned is ignored.",
        "7",
        &root,
        &note(&text, &[another, first.clone(), second.clone()]),
    );
    good(
        "checkpoint_unknown_line_twice",
        "Two lines of one unknown key are ignored.",
        "7",
        &root,
        &note(&text, &[witness.clone(), witness.clone(), first.clone(), second.clone()]),
    );
    let hundred: Vec<String> = [first, second].into_iter().chain(vec![witness; 98]).collect();
    good("checkpoint_100_lines", "As many lines as there may be.", "7", &root, &note(&text, &hundred));
}

fn texts(domain: &Domain, maker: &mut Maker) {
    let root = digest("root").to_base64();
    let mut bad = |name: &str, about: &str, text: &str| {
        maker.refuse(name, about, input(domain, &signed_text(domain, text)), Malformed)
    };
    bad("checkpoint_extension_line", "A line after the root.", &format!("{ORIGIN}\n7\n{root}\nextension\n"));
    bad("checkpoint_blank_extension", "A blank line after the root.", &format!("{ORIGIN}\n7\n{root}\n\n"));
    bad("checkpoint_two_lines", "No root.", &format!("{ORIGIN}\n7\n"));
    bad("checkpoint_size_leading_zero", "A size with a leading zero.", &format!("{ORIGIN}\n07\n{root}\n"));
    bad("checkpoint_size_too_big", "A size of 2^64.", &format!("{ORIGIN}\n18446744073709551616\n{root}\n"));
    bad("checkpoint_size_plus", "A size with a sign.", &format!("{ORIGIN}\n+7\n{root}\n"));
    bad("checkpoint_size_empty", "No size.", &format!("{ORIGIN}\n\n{root}\n"));
    bad("checkpoint_size_hex", "A size in hex.", &format!("{ORIGIN}\n0x7\n{root}\n"));
    bad("checkpoint_size_arabic_digit", "A size in other digits than ASCII.", &format!("{ORIGIN}\n\u{667}\n{root}\n"));
    bad("checkpoint_size_space", "A space after the size.", &format!("{ORIGIN}\n7 \n{root}\n"));
    bad("checkpoint_root_31", "A root of 31 bytes.", &format!("{ORIGIN}\n7\n{}\n", STANDARD.encode([7; 31])));
    bad("checkpoint_root_33", "A root of 33 bytes.", &format!("{ORIGIN}\n7\n{}\n", STANDARD.encode([7; 33])));
    bad(
        "checkpoint_root_not_canonical",
        "A root with bits set beyond its last byte.",
        &format!("{ORIGIN}\n7\n{}\n", loose(&root)),
    );
    bad(
        "checkpoint_root_unpadded",
        "A root without padding.",
        &format!("{ORIGIN}\n7\n{}\n", root.trim_end_matches('=')),
    );
    bad("checkpoint_root_hex", "A root in hex.", &format!("{ORIGIN}\n7\n{}\n", hex(digest("root").as_bytes())));
    bad("checkpoint_origin_empty", "No origin.", &format!("\n7\n{root}\n"));
    bad("checkpoint_origin_space", "An origin with a space.", &format!("writ example\n7\n{root}\n"));
    bad("checkpoint_tab", "A control character in the text.", &format!("{ORIGIN}\t\n7\n{root}\n"));
    let other = Checkpoint { origin: Origin::new("writ.example/ledger/other").unwrap(), ..checkpoint(7) };
    let note = signed_by(&other, domain.ledger_keys());
    maker.refuse("checkpoint_other_origin", "A checkpoint of another ledger.", input(domain, &note), UnknownAuthority);
}

/// The same bytes in base64 that nobody should write: a bit that pads is set.
fn loose(base64: &str) -> String {
    let (head, last) = base64.trim_end_matches('=').split_at(base64.trim_end_matches('=').len() - 1);
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let place = alphabet.find(last).unwrap();
    let padding = &base64[head.len() + 1..];
    format!("{head}{}{padding}", &alphabet[place + 1..place + 2])
}

fn lines(domain: &Domain, maker: &mut Maker) {
    let keys = domain.ledger_keys();
    let (text, head) = (checkpoint(7).body(), checkpoint(7));
    let (first, second) = (ed25519_line(&head, &keys.ed25519), ml_dsa_line(&head, &keys.ml_dsa_44));
    let stranger = Secret::new(Algorithm::Ed25519, "stranger");
    let ed25519_id = verifier(domain.origin(), &keys.ed25519).key_id();
    let ed25519 = keys.ed25519.sign(text.as_bytes());
    let mut bad = |name: &str, about: &str, lines: &[&str], code: Code| {
        let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        maker.refuse(name, about, input(domain, &note(&text, &lines)), code);
    };
    bad("checkpoint_without_ed25519", "Only the ML-DSA-44 key has signed.", &[&second], SignatureInvalid);
    bad("checkpoint_without_ml_dsa", "Only the Ed25519 key has signed.", &[&first], SignatureInvalid);
    bad("checkpoint_duplicate_ed25519", "The Ed25519 line twice.", &[&first, &second, &first], Malformed);
    bad("checkpoint_duplicate_ml_dsa", "The ML-DSA-44 line twice.", &[&first, &second, &second], Malformed);
    bad(
        "checkpoint_wrong_key_same_name",
        "Another key with the ledger's name in place of the pinned one.",
        &[&ed25519_line(&head, &stranger), &second],
        SignatureInvalid,
    );
    let unpinned = Checkpoint { origin: Origin::new("stranger.example").unwrap(), ..head.clone() };
    bad(
        "checkpoint_unpinned_only",
        "Only somebody else has signed.",
        &[&line("stranger.example", verifier(&unpinned.origin, &stranger).key_id(), &stranger.sign(text.as_bytes()))],
        SignatureInvalid,
    );
    bad(
        "checkpoint_other_name",
        "The right signature and key id below another name.",
        &[&line("writ.example", ed25519_id, &ed25519), &second],
        SignatureInvalid,
    );
    bad(
        "checkpoint_signature_of_other_key",
        "The signature of another key below the pinned key's id.",
        &[&line(ORIGIN, ed25519_id, &stranger.sign(text.as_bytes())), &second],
        SignatureInvalid,
    );
}

/// Lines of the pinned keys, whose signatures are not what they must be.
fn line_signatures(domain: &Domain, maker: &mut Maker) {
    let keys = domain.ledger_keys();
    let (text, head) = (checkpoint(7).body(), checkpoint(7));
    let (first, second) = (ed25519_line(&head, &keys.ed25519), ml_dsa_line(&head, &keys.ml_dsa_44));
    let (ed25519_id, ml_dsa_id) =
        (verifier(domain.origin(), &keys.ed25519).key_id(), verifier(domain.origin(), &keys.ml_dsa_44).key_id());
    let ed25519 = keys.ed25519.sign(text.as_bytes());
    let ml_dsa = keys.ml_dsa_44.sign(&cosigned(&head, 0));
    let timed = |time: u64, signature: &[u8]| line(ORIGIN, ml_dsa_id, &[&time.to_be_bytes(), signature].concat());
    let mut bad = |name: &str, about: &str, lines: &[&str]| {
        let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        maker.refuse(name, about, input(domain, &note(&text, &lines)), SignatureInvalid);
    };
    bad(
        "checkpoint_ed25519_flipped",
        "A bit of the Ed25519 signature is changed.",
        &[&line(ORIGIN, ed25519_id, &flipped(&ed25519, 40)), &second],
    );
    bad(
        "checkpoint_ml_dsa_flipped",
        "A bit of the ML-DSA-44 signature is changed.",
        &[&first, &timed(0, &flipped(&ml_dsa, 40))],
    );
    bad(
        "checkpoint_ed25519_short",
        "An Ed25519 signature of 63 bytes.",
        &[&line(ORIGIN, ed25519_id, &ed25519[..63]), &second],
    );
    bad(
        "checkpoint_ed25519_long",
        "An Ed25519 signature of 65 bytes.",
        &[&line(ORIGIN, ed25519_id, &[ed25519.as_slice(), &[0]].concat()), &second],
    );
    bad(
        "checkpoint_ml_dsa_untimed",
        "An ML-DSA-44 line without its timestamp.",
        &[&first, &line(ORIGIN, ml_dsa_id, &ml_dsa)],
    );
    bad("checkpoint_ml_dsa_short", "An ML-DSA-44 line of seven bytes.", &[&first, &line(ORIGIN, ml_dsa_id, &[0; 7])]);
    bad("checkpoint_timestamp_changed", "A timestamp beside a signature made for 0.", &[&first, &timed(1, &ml_dsa)]);
    bad(
        "checkpoint_timestamp_signed",
        "A timestamp that the signature covers.",
        &[&first, &timed(1, &keys.ml_dsa_44.sign(&cosigned(&head, 1)))],
    );
    bad(
        "checkpoint_ml_dsa_over_text",
        "ML-DSA-44 over the text of the note.",
        &[&first, &timed(0, &keys.ml_dsa_44.sign(text.as_bytes()))],
    );
    let smaller = keys.ml_dsa_44.sign(&cosigned(&checkpoint(6), 0));
    bad("checkpoint_ml_dsa_other_size", "ML-DSA-44 over a smaller tree.", &[&first, &timed(0, &smaller)]);
}

fn too_many_lines(domain: &Domain, maker: &mut Maker) {
    let (head, keys) = (checkpoint(7), domain.ledger_keys());
    let mut lines = vec![ed25519_line(&head, &keys.ed25519), ml_dsa_line(&head, &keys.ml_dsa_44)];
    lines.extend(vec![line("witness.example", 1, &[9; 64]); 99]);
    let about = "More lines than there may be.";
    maker.refuse("checkpoint_101_lines", about, input(domain, &note(&head.body(), &lines)), Malformed);
}

fn notes(domain: &Domain, maker: &mut Maker) {
    let good = String::from_utf8(signed_by(&checkpoint(7), domain.ledger_keys())).unwrap();
    let text = checkpoint(7).body();
    let mut bad = |name: &str, about: &str, note: &str, code: Code| {
        maker.refuse(name, about, input(domain, note.as_bytes()), code)
    };
    let changed = good.replacen("\n7\n", "\n8\n", 1);
    bad("checkpoint_size_changed", "The size is changed after it was signed.", &changed, SignatureInvalid);
    let other_root = good.replacen(&digest("root").to_base64(), &digest("other").to_base64(), 1);
    bad("checkpoint_root_changed", "The root is changed after it was signed.", &other_root, SignatureInvalid);
    bad("checkpoint_no_blank_line", "No blank line before the signatures.", &good.replacen("\n\n", "\n", 1), Malformed);
    bad("checkpoint_crlf", "Lines that end with carriage returns.", &good.replace('\n', "\r\n"), Malformed);
    bad("checkpoint_unterminated", "No newline at the end.", good.trim_end_matches('\n'), Malformed);
    bad("checkpoint_blank_line_at_end", "A blank line at the end.", &format!("{good}\n"), Malformed);
    bad("checkpoint_text_only", "A text without signatures.", &text, Malformed);
    bad("checkpoint_no_lines", "A blank line with nothing after it.", &format!("{text}\n"), Malformed);
    bad("checkpoint_hyphen", "A hyphen where an em dash must be.", &good.replacen('\u{2014}', "-", 1), Malformed);
    bad(
        "checkpoint_line_without_name",
        "A signature line without a name.",
        &good.replacen(&format!("\u{2014} {ORIGIN} "), "\u{2014} ", 1),
        Malformed,
    );
    bad(
        "checkpoint_two_spaces",
        "Two spaces in a signature line.",
        &good.replacen("\u{2014} ", "\u{2014}  ", 1),
        Malformed,
    );
    bad(
        "checkpoint_base64_invalid",
        "A signature with a character that base64 does not have.",
        &good.replacen(&format!("{ORIGIN} "), &format!("{ORIGIN} !"), 2).replacen(
            &format!("{ORIGIN} !"),
            &format!("{ORIGIN} "),
            1,
        ),
        Malformed,
    );
}

fn notes_base64(domain: &Domain, maker: &mut Maker) {
    let good = String::from_utf8(signed_by(&checkpoint(7), domain.ledger_keys())).unwrap();
    let mut bad = |name: &str, about: &str, note: &str| {
        maker.refuse(name, about, input(domain, note.as_bytes()), Malformed);
    };
    let (head, last) = good.trim_end().rsplit_once(' ').unwrap();
    bad(
        "checkpoint_base64_not_canonical",
        "A signature with bits set beyond its last byte.",
        &format!("{head} {}\n", loose_last(last)),
    );
    let witness = |base64: &str| format!("{good}\u{2014} witness.example {base64}\n");
    bad("checkpoint_unknown_line_malformed", "A line of somebody else must have the form of a line.", &witness("!"));
    bad(
        "checkpoint_unknown_line_not_canonical",
        "Base64 of somebody else must be canonical too.",
        &witness("AQIDBAV="),
    );
    bad("checkpoint_key_id_alone", "A line with a key id and no signature.", &witness(&STANDARD.encode([1, 2, 3, 4])));
    bad("checkpoint_empty", "No bytes.", "");
    let not_utf8 = [good.as_bytes(), b"\xff\n"].concat();
    maker.refuse("checkpoint_not_utf8", "Bytes that are no text.", input(domain, &not_utf8), Malformed);
    let filler = line("witness.example", 1, &[9; 2600]);
    let large = format!("{good}{}", filler.repeat(75));
    assert!(large.len() > 262_144);
    maker.refuse(
        "checkpoint_too_large",
        "A note of more than 262,144 bytes.",
        input(domain, large.as_bytes()),
        Malformed,
    );
}

/// As [`loose`], for whatever padding: an unpadded text gets a line break it must not have.
fn loose_last(base64: &str) -> String {
    if base64.ends_with('=') { loose(base64) } else { format!("{base64}====") }
}
