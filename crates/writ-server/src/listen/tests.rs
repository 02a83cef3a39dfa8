use super::*;
use std::os::unix::net::UnixListener as Plain;
use tokio::runtime;

fn run<T>(task: impl Future<Output = T>) -> T {
    runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(task)
}

fn folder() -> tempfile::TempDir {
    tempfile::Builder::new().permissions(Permissions::from_mode(0o755)).tempdir().unwrap()
}

async fn bind(path: &Path) -> Result<Listeners, ServeError> {
    Listeners::new().with_unix(path, SOCKET_MODE).await
}

#[test]
fn the_socket_appears_with_its_mode_and_goes_at_the_end() {
    let folder = folder();
    let path = folder.path().join("run/node.sock");
    run(async {
        let listeners = Listeners::new().with_unix(&path, 0o660).await.unwrap();
        let found = fs::symlink_metadata(&path).unwrap();
        assert!(found.file_type().is_socket());
        assert_eq!(found.mode() & 0o7777, 0o660);
        assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().mode() & 0o022, 0);
        UnixStream::connect(&path).await.unwrap();
        drop(listeners);
    });
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 0);
}

#[test]
fn a_socket_that_nobody_answers_on_is_replaced() {
    let folder = folder();
    let path = folder.path().join("node.sock");
    drop(Plain::bind(&path).unwrap());
    assert!(path.exists());
    run(async {
        let _listeners = bind(&path).await.unwrap();
        UnixStream::connect(&path).await.unwrap();
    });
}

#[test]
fn a_socket_that_somebody_answers_on_is_left_alone() {
    let folder = folder();
    let path = folder.path().join("node.sock");
    let other = Plain::bind(&path).unwrap();
    run(async { assert!(matches!(bind(&path).await.err().unwrap(), ServeError::AnotherNode(_))) });
    std::os::unix::net::UnixStream::connect(&path).unwrap();
    other.accept().unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn what_is_no_socket_is_left_alone() {
    let folder = folder();
    let path = folder.path().join("node.sock");
    fs::write(&path, "kept").unwrap();
    run(async { assert!(matches!(bind(&path).await.err().unwrap(), ServeError::NotASocket(_))) });
    assert_eq!(fs::read(&path).unwrap(), b"kept");
    let link = folder.path().join("link.sock");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    run(async { assert!(matches!(bind(&link).await.err().unwrap(), ServeError::NotASocket(_))) });
}

#[test]
fn a_socket_that_another_node_has_put_there_stays() {
    let folder = folder();
    let path = folder.path().join("node.sock");
    run(async {
        let listeners = bind(&path).await.unwrap();
        fs::remove_file(&path).unwrap();
        let _other = Plain::bind(&path).unwrap();
        drop(listeners);
        assert!(path.exists());
    });
}

#[test]
fn a_folder_in_which_others_may_write_is_refused() {
    for mode in [0o775, 0o757, 0o1777] {
        let folder = folder();
        fs::set_permissions(folder.path(), Permissions::from_mode(mode)).unwrap();
        let error = run(bind(&folder.path().join("node.sock"))).err().unwrap();
        assert!(matches!(error, ServeError::SocketFolder { mode: found, .. } if found == mode), "{error}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

#[test]
fn a_path_that_is_too_long_is_refused_with_what_to_do() {
    let folder = folder();
    let error = run(bind(&folder.path().join("a".repeat(120)))).err().unwrap();
    assert!(error.to_string().contains("choose a shorter path"), "{error}");
    assert!(matches!(run(bind(Path::new("/"))).err().unwrap(), ServeError::Socket { .. }));
}

#[test]
fn an_address_that_others_reach_is_refused_without_tls() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "[::ffff:192.0.2.1]:0"] {
        let error = run(Listeners::new().with_tcp(address.parse().unwrap(), None)).err().unwrap();
        assert!(matches!(error, ServeError::PlainTcp(_)), "{error}");
        assert!(error.to_string().contains("give a certificate and a key"), "{error}");
    }
    let listeners = run(Listeners::new().with_tcp("127.0.0.1:0".parse().unwrap(), None)).unwrap();
    let taken = listeners.tcp_address().unwrap();
    assert_ne!(taken.port(), 0);
    let error = run(Listeners::new().with_tcp(taken, None)).err().unwrap();
    assert!(error.to_string().starts_with(&format!("cannot listen on {taken}: ")), "{error}");
}
