//! How many connections each crowd has, so that none takes all of them.

use crate::peer::Crowd;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

pub(crate) struct Crowds {
    each_max: usize,
    present: Mutex<HashMap<Crowd, usize>>,
}

/// A place among the connections of a crowd, free again when it goes.
pub(crate) struct Seat {
    crowds: Arc<Crowds>,
    crowd: Crowd,
}

impl Crowds {
    pub(crate) fn new(each_max: usize) -> Arc<Self> {
        Arc::new(Self { each_max, present: Mutex::new(HashMap::new()) })
    }

    pub(crate) fn seat(self: &Arc<Self>, crowd: Crowd) -> Option<Seat> {
        let mut present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        let count = present.entry(crowd).or_insert(0);
        if *count >= self.each_max {
            return None;
        }
        *count = count.saturating_add(1);
        Some(Seat { crowds: self.clone(), crowd })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut present = self.crowds.present.lock().unwrap_or_else(PoisonError::into_inner);
        let left = present.get(&self.crowd).map_or(0, |count| count.saturating_sub(1));
        if left == 0 {
            present.remove(&self.crowd);
        } else {
            present.insert(self.crowd, left);
        }
    }
}
