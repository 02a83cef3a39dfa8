use super::members::Members;
use std::collections::BTreeMap;
use std::path::Path;
use writ_policy::Snapshot;

/// Agents may build; administrators may revoke, halt and erase with a key.
const STANDARD: &str = r#"
@id("agents-build")
permit (principal in Group::"agents", action == Action::"exec", resource) when { context.path like "/usr/bin/*" };

@id("no-disks")
forbid (principal, action == Action::"exec", resource) when { context.path == "/usr/bin/dd" };

@id("administrators-stop-things")
permit (principal in Group::"administrators", action in [Action::"revoke", Action::"halt"], resource)
when { context.auth == "key" };

@id("administrators-erase")
permit (principal in Group::"administrators", action == Action::"erase", resource) when { context.auth == "key" };
"#;

/// The files of a policy folder.
#[derive(Clone, Debug)]
pub struct PolicyFiles(BTreeMap<String, Vec<u8>>);

impl PolicyFiles {
    /// What a test begins with.
    pub fn standard(members: &Members) -> Self {
        Self(BTreeMap::new())
            .with("standard.cedar", STANDARD)
            .with("entities.json", &members.entities(&[]))
            .with("principals.json", &members.principals())
    }

    /// What [`PolicyFiles::crowded`] permits too often.
    pub const CROWDED: &'static str = "/opt/crowded";

    /// The same, and one program that more policies permit than an entry names: 257.
    pub fn crowded(members: &Members) -> Self {
        let permits = (0..257).map(|number| {
            let scope = "principal in Group::\"agents\", action == Action::\"exec\", resource";
            let path = Self::CROWDED;
            format!("@id(\"crowd/{number:03}\")\npermit ({scope})\nwhen {{ context.path == \"{path}\" }};\n")
        });
        Self::standard(members).with("crowd.cedar", &permits.collect::<String>())
    }

    /// With a file more, or another one in its place.
    #[must_use]
    pub fn with(mut self, path: &str, text: &str) -> Self {
        self.0.insert(path.to_owned(), text.as_bytes().to_vec());
        self
    }

    /// As the authority takes it.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::new(self.0.clone()).unwrap()
    }

    /// As a folder.
    pub fn write(&self, folder: &Path) {
        std::fs::create_dir_all(folder).unwrap();
        for (path, content) in &self.0 {
            std::fs::write(folder.join(path), content).unwrap();
        }
    }
}
