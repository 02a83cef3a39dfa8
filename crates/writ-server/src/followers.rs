//! How many may stay for what is to come: followers of the feed, and whoever waits for an answer to a hold. Anybody may, and it costs a connection for as long
//! as they like.

use crate::peer::Crowd;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

pub(crate) struct Followers {
    all_max: usize,
    each_max: usize,
    present: Mutex<HashMap<Crowd, usize>>,
}

/// One who stays, until it goes.
pub(crate) struct Follower {
    followers: Arc<Followers>,
    crowd: Crowd,
}

impl Followers {
    pub(crate) fn new(all_max: usize, each_max: usize) -> Arc<Self> {
        Arc::new(Self { all_max, each_max, present: Mutex::default() })
    }

    /// Nothing, where there are as many of this crowd, or at this listener, as there may be.
    pub(crate) fn one_more(self: &Arc<Self>, crowd: Crowd) -> Option<Follower> {
        let mut present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        let here = present.iter().filter(|(other, _)| other.is_remote() == crowd.is_remote());
        if here.map(|(_, count)| count).sum::<usize>() >= self.all_max {
            return None;
        }
        let count = present.entry(crowd).or_insert(0);
        if *count >= self.each_max {
            return None;
        }
        *count = count.saturating_add(1);
        Some(Follower { followers: self.clone(), crowd })
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let mut present = self.followers.present.lock().unwrap_or_else(PoisonError::into_inner);
        let left = present.get(&self.crowd).map_or(0, |count| count.saturating_sub(1));
        if left == 0 {
            present.remove(&self.crowd);
        } else {
            present.insert(self.crowd, left);
        }
    }
}
