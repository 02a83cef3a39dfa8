use crate::cbor::{Bytes, Decode, Encode, Reader, ShapeError, Writer};

/// An absolute path with nothing in it that could lead elsewhere: no empty part, no `.`, no `..`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path(Vec<u8>);

impl Path {
    /// The path, if it has this form.
    pub fn new(path: impl Into<Vec<u8>>) -> Result<Self, ShapeError> {
        let path = path.into();
        if is_plain(&path) {
            return Ok(Self(path));
        }
        Err(ShapeError::expected("an absolute path without empty parts, `.`, `..` and zero bytes"))
    }

    /// As bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether a path is this one. One that is not plain is none of any.
    pub(super) fn is(&self, path: &[u8]) -> bool {
        self.0 == path
    }

    /// Whether a path lies beneath this folder, part by part: `/srv/build-2` is not beneath `/srv/build`.
    pub(super) fn holds(&self, path: &[u8]) -> bool {
        let within = match self.0.as_slice() {
            b"/" => path.strip_prefix(b"/"),
            folder => path.strip_prefix(folder).and_then(|rest| rest.strip_prefix(b"/")),
        };
        within.is_some_and(|rest| !rest.is_empty()) && is_plain(path)
    }
}

fn is_plain(path: &[u8]) -> bool {
    let Some(parts) = path.strip_prefix(b"/") else { return false };
    let leads_on = |part: &[u8]| !part.is_empty() && part != b"." && part != b"..";
    parts.is_empty() || !path.contains(&0) && parts.split(|byte| *byte == b'/').all(leads_on)
}

impl Encode for Path {
    fn encode(&self, writer: &mut Writer) {
        writer.bytes(&self.0);
    }
}

impl Decode for Path {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        Self::new(Bytes::decode(reader)?.0)
    }
}
