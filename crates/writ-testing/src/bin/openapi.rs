//! Writes the interface of a node as OpenAPI: `openapi FILE`.

fn main() -> std::io::Result<()> {
    let file = std::env::args_os().nth(1).ok_or_else(|| std::io::Error::other("expected a file to write"))?;
    let text = serde_json::to_string_pretty(&writ_server::openapi()).map_err(std::io::Error::other)?;
    std::fs::write(file, text + "\n")
}
