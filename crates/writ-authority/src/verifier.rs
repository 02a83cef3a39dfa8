use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use tokio::sync::oneshot;
use writ_protocol::statement::{Request, SignedRequest};
use writ_protocol::{Code, Ed25519Key, Refusal};
use writ_tlog::Origin;

/// Verifies what principals have signed, on a thread of its own: a signature costs nearly as much as all else that is done for a request
/// before it is recorded, and whoever sends bad ones holds up nobody who is known otherwise.
pub(crate) struct Verifier {
    queue: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

struct Job {
    bytes: Vec<u8>,
    key: Ed25519Key,
    origin: Origin,
    answer: oneshot::Sender<Result<Request, Refusal>>,
}

impl Verifier {
    pub(crate) fn start() -> Result<Self, Refusal> {
        let (queue, jobs) = channel();
        let thread = thread::Builder::new().name("verifier".to_owned()).spawn(move || run(&jobs));
        let thread =
            thread.map_err(|error| Refusal::new(Code::Internal, format!("no thread to verify on: {error}")))?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    /// The request in these bytes, if this key has signed it. Whatever cannot be verified is refused (Invariant 2).
    pub(crate) async fn verify(&self, bytes: &[u8], key: Ed25519Key, origin: &Origin) -> Result<Request, Refusal> {
        let not_verified = || Refusal::new(Code::Internal, "the signature was not verified");
        let (answer, answered) = oneshot::channel();
        let job = Job { bytes: bytes.to_vec(), key, origin: origin.clone(), answer };
        self.queue.as_ref().and_then(|queue| queue.send(job).ok()).ok_or_else(not_verified)?;
        answered.await.unwrap_or_else(|_| Err(not_verified()))
    }
}

fn run(jobs: &Receiver<Job>) {
    for Job { bytes, key, origin, answer } in jobs {
        let request = SignedRequest::decode(&bytes).and_then(|signed| signed.verify(&key, &origin));
        // Whoever asked may have gone.
        answer.send(request).ok();
    }
}

impl Drop for Verifier {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};
    use writ_protocol::Key;
    use writ_tlog::{Algorithm, SigningKey};

    fn refused(verifier: &Verifier) -> Code {
        let key = Key::from(SigningKey::from_seed(Algorithm::Ed25519, &[7; 32]).verifying_key());
        let origin = Origin::new("verifier.example/ledger").unwrap();
        let mut verified = pin!(verifier.verify(b"nothing", Ed25519Key::new(key).unwrap(), &origin));
        let mut context = Context::from_waker(Waker::noop());
        loop {
            if let Poll::Ready(verified) = verified.as_mut().poll(&mut context) {
                return verified.unwrap_err().code();
            }
            thread::yield_now();
        }
    }

    #[test]
    fn without_its_thread_nothing_is_verified() {
        let mut verifier = Verifier::start().unwrap();
        assert_eq!(refused(&verifier), Code::Malformed);
        // It ends as if it had panicked: with the other end of the queue.
        let (queue, jobs) = channel();
        let first = verifier.queue.replace(queue);
        drop((first, jobs));
        assert_eq!(refused(&verifier), Code::Internal);
        verifier.queue = None;
        assert_eq!(refused(&verifier), Code::Internal);
    }
}
