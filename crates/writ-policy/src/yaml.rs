//! Fixtures are YAML, of which only what has one meaning is read: one document of maps, lists and text. No anchors, aliases or tags, no key
//! twice; what looks like a number or a boolean is the text that stands there.

use saphyr_parser::{Event, Parser, Span};

/// Deeper nesting is of no use to a fixture.
const DEPTH_MAX: usize = 16;

/// A value, with the place at which it begins: line and column, both from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) value: Value,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
}

/// What cannot be read, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) what: String,
}

impl Node {
    pub(crate) fn fault(&self, what: impl Into<String>) -> Fault {
        Fault { line: self.line, column: self.column, what: what.into() }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            Value::List(_) | Value::Map(_) => None,
        }
    }
}

/// Reads the one document of a file.
pub(crate) fn read(text: &str) -> Result<Node, Fault> {
    let mut reading = Reading { parser: Parser::new_from_str(text) };
    reading.expect(|event| matches!(event, Event::StreamStart), "the beginning of a file")?;
    reading.expect(|event| matches!(event, Event::DocumentStart(_)), "a document")?;
    let (event, span) = reading.next()?;
    let node = reading.node(event, span, 0)?;
    reading.expect(|event| matches!(event, Event::DocumentEnd), "the end of the document")?;
    reading.expect(|event| matches!(event, Event::StreamEnd), "one document and no other")?;
    Ok(node)
}

struct Reading<'a> {
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
}

impl<'a> Reading<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), Fault> {
        match self.parser.next_event() {
            Some(Ok(found)) => Ok(found),
            Some(Err(error)) => {
                let marker = error.marker();
                Err(Fault { line: marker.line(), column: marker.col() + 1, what: error.info().to_owned() })
            }
            None => Err(Fault { line: 1, column: 1, what: "the file ends too early".to_owned() }),
        }
    }

    fn expect(&mut self, is_it: impl Fn(&Event<'_>) -> bool, what: &str) -> Result<(), Fault> {
        let (event, span) = self.next()?;
        if is_it(&event) { Ok(()) } else { Err(at(span, format!("expected {what}"))) }
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, Fault> {
        if depth > DEPTH_MAX {
            return Err(at(span, format!("nested deeper than {DEPTH_MAX} levels")));
        }
        let plain = |anchor: usize, tagged: bool| {
            if anchor == 0 && !tagged { Ok(()) } else { Err(at(span, "anchors and tags are not read")) }
        };
        let value = match event {
            Event::Scalar(text, _, anchor, tag) => {
                plain(anchor, tag.is_some())?;
                Value::Text(text.into_owned())
            }
            Event::SequenceStart(anchor, tag) => {
                plain(anchor, tag.is_some())?;
                Value::List(self.list(depth)?)
            }
            Event::MappingStart(anchor, tag) => {
                plain(anchor, tag.is_some())?;
                Value::Map(self.map(depth)?)
            }
            Event::Alias(_) => return Err(at(span, "aliases are not read: write it out")),
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd
            | Event::SequenceEnd
            | Event::MappingEnd => return Err(at(span, "expected a value")),
        };
        Ok(Node { line: span.start.line(), column: span.start.col() + 1, value })
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Node>, Fault> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(items),
                (event, span) => items.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Vec<(Node, Node)>, Fault> {
        let mut pairs: Vec<(Node, Node)> = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                return Ok(pairs);
            }
            let key = self.node(event, span, depth + 1)?;
            let Some(name) = key.text() else { return Err(key.fault("expected a name as the key")) };
            if pairs.iter().any(|(known, _)| known.text() == Some(name)) {
                return Err(key.fault(format!("the key `{name}` stands twice in one map")));
            }
            let (event, span) = self.next()?;
            let value = self.node(event, span, depth + 1)?;
            pairs.push((key, value));
        }
    }
}

fn at(span: Span, what: impl Into<String>) -> Fault {
    Fault { line: span.start.line(), column: span.start.col() + 1, what: what.into() }
}
