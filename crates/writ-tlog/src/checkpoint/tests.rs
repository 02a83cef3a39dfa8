use super::*;
use crate::sha256;
use proptest::prelude::*;

const ROOT: &str = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";

#[test]
fn the_example_of_the_specification_is_read_and_written() {
    let body = format!("example.com/behind-the-sofa\n20852163\n{ROOT}\n");
    let checkpoint = Checkpoint::parse(&body).unwrap();
    assert_eq!(checkpoint.origin.as_str(), "example.com/behind-the-sofa");
    assert_eq!(checkpoint.size, TreeSize::new(20_852_163));
    assert_eq!(checkpoint.root.to_base64(), ROOT);
    assert_eq!(checkpoint.body(), body);
}

#[test]
fn another_form_of_a_checkpoint_is_refused() {
    let cases = [
        (String::new(), CheckpointError::MissingLines { found: 0 }),
        ("o".to_owned(), CheckpointError::MissingLines { found: 0 }),
        ("o\n1\n".to_owned(), CheckpointError::MissingLines { found: 2 }),
        (format!("o\n1\n{ROOT}"), CheckpointError::MissingLines { found: 2 }),
        (format!("\n1\n{ROOT}\n"), CheckpointError::Origin(NameError::Empty)),
        (format!("o o\n1\n{ROOT}\n"), CheckpointError::Origin(NameError::Character { found: ' ' })),
        (format!("{}\n1\n{ROOT}\n", "o".repeat(256)), CheckpointError::Origin(NameError::TooLong { found: 256 })),
        (format!("o\n\n{ROOT}\n"), CheckpointError::Size),
        (format!("o\n01\n{ROOT}\n"), CheckpointError::Size),
        (format!("o\n+1\n{ROOT}\n"), CheckpointError::Size),
        (format!("o\n-1\n{ROOT}\n"), CheckpointError::Size),
        (format!("o\n18446744073709551616\n{ROOT}\n"), CheckpointError::Size),
        ("o\n1\n\n".to_owned(), CheckpointError::Root),
        ("o\n1\nAAAA\n".to_owned(), CheckpointError::Root),
        (format!("o\n1\n{}\n", ROOT.replace("2I=", "2J=")), CheckpointError::Root),
        (format!("o\n1\n{} \n", ROOT), CheckpointError::Root),
        (format!("o\n1\n{ROOT}\nextension\n"), CheckpointError::ExtensionLines { found: 1 }),
        (format!("o\n1\n{ROOT}\none\ntwo\n"), CheckpointError::ExtensionLines { found: 2 }),
        (format!("o\n1\n{ROOT}\n\n"), CheckpointError::ExtensionLines { found: 1 }),
        (format!("o\n1\n{ROOT}\nunended"), CheckpointError::ExtensionLines { found: 1 }),
    ];
    for (body, error) in cases {
        assert_eq!(Checkpoint::parse(&body), Err(error), "{body:?}");
    }
}

proptest! {
    #[test]
    fn checkpoints_round_trip(origin in "[^\\p{Z}\\p{C}+]{1,30}", size: u64, seed: u64) {
        let (origin, root) = (Origin::new(origin).unwrap(), sha256(&seed.to_be_bytes()));
        let checkpoint = Checkpoint { origin, size: TreeSize::new(size), root };
        prop_assert_eq!(Checkpoint::parse(&checkpoint.body()), Ok(checkpoint));
    }

    #[test]
    fn any_text_is_judged_and_what_is_read_is_written_again(body in "\\PC{0,9}\n?\\PC{0,9}|o\n[0-9+-]{0,21}\n[A-Za-z0-9+/]{43}=\n") {
        if let Ok(checkpoint) = Checkpoint::parse(&body) {
            prop_assert_eq!(checkpoint.body(), body);
        }
    }
}
