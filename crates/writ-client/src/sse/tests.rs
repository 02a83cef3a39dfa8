use super::*;
use proptest::prelude::*;

fn read(bytes: &[u8]) -> Result<Vec<Event>, SseError> {
    Parser::new().push(bytes)
}

fn named(name: &str, data: &str) -> Event {
    Event::Named { name: name.to_owned(), data: data.to_owned() }
}

#[test]
fn events_and_comments_are_told_apart() {
    let stream = b": alive\n\nevent: control\ndata: {}\n\nevent: control\ndata: a\ndata: \ndata: b\n\n:\n\n";
    let events = [Event::Alive, named("control", "{}"), named("control", "a\n\nb"), Event::Alive];
    assert_eq!(read(stream).unwrap(), events);
}

#[test]
fn what_no_node_sends_is_refused() {
    for (bytes, fault) in [
        (&b"\n"[..], SseError::Shape("nothing")),
        (b"event: a\n\n", SseError::Shape("no data")),
        (b"data: a\n\n", SseError::Shape("no name")),
        (b"event: a\nevent: b\n", SseError::Shape("a name where none may be")),
        (b"data: a\nevent: b\n", SseError::Shape("a name where none may be")),
        (b"event: a\r\n", SseError::Line("event: a\r".to_owned())),
        (b"event:a\n", SseError::Line("event:a".to_owned())),
        (b"event: \n", SseError::Line("event: ".to_owned())),
        (b"id: 1\n", SseError::Line("id: 1".to_owned())),
        (b"retry: 1\n", SseError::Line("retry: 1".to_owned())),
        (b"data: a\0\n", SseError::Line("data: a\0".to_owned())),
        (b"\xef\xbb\xbf: alive\n", SseError::Line("\u{feff}: alive".to_owned())),
        (b"HTTP/1.1 200 OK\n", SseError::Line("HTTP/1.1 200 OK".to_owned())),
        (b"data: \xff\n", SseError::NotUtf8),
    ] {
        assert_eq!(read(bytes), Err(fault), "{:?}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn an_event_without_end_is_refused_before_it_fills_memory() {
    let chunk = vec![b'a'; 1 << 20];
    for begun in [&b"data: "[..], b"event: a\ndata: 1\ndata: 2\ndata: ", b": "] {
        let mut parser = Parser::new();
        parser.push(begun).unwrap();
        let pushed = (0..64).map(|_| parser.push(&chunk)).position(|pushed| pushed == Err(SseError::TooLong));
        assert_eq!(pushed, Some(15));
    }
    let mut parser = Parser::new();
    let comments = ": alive\n".repeat(EVENT_BYTES_MAX / 8 + 1);
    assert_eq!(parser.push(comments.as_bytes()), Err(SseError::TooLong));
}

fn stream() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just("event: control\n".to_owned()),
        "data: [a-zé]{0,6}\n",
        Just(": alive\n".to_owned()),
        Just("\n".to_owned()),
        "[\\x00-\\x20a-z:]{0,4}",
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat().into_bytes())
}

proptest! {
    #[test]
    fn how_bytes_are_cut_does_not_matter(bytes in stream(), cuts in proptest::collection::vec(1_usize..8, 1..40)) {
        let whole = read(&bytes);
        let mut parser = Parser::new();
        let (mut events, mut rest, mut fault) = (Vec::new(), &bytes[..], None);
        for cut in cuts.iter().cycle() {
            if rest.is_empty() || fault.is_some() {
                break;
            }
            let (now, later) = rest.split_at((*cut).min(rest.len()));
            match parser.push(now) {
                Ok(more) => events.extend(more),
                Err(error) => fault = Some(error),
            }
            rest = later;
        }
        match (whole, fault) {
            (Ok(whole), None) => prop_assert_eq!(whole, events),
            (Err(error), found) => prop_assert_eq!(Some(error), found),
            (Ok(_), Some(fault)) => prop_assert!(false, "only in pieces: {fault}"),
        }
    }

    #[test]
    fn what_was_written_is_read(name in "[a-z]{1,8}", lines in proptest::collection::vec("[^\\x00\r\n]{0,12}", 1..5)) {
        let data: String = lines.iter().map(|line| format!("data: {line}\n")).collect();
        let events = read(format!("event: {name}\n{data}\n").as_bytes());
        prop_assert_eq!(events, Ok(vec![named(&name, &lines.join("\n"))]));
    }
}
