//! What can happen to a writer, its source and its topic, and in which order.

use super::{
    source::{Setup, Source, Step, setup, step},
    transport::{Hop, Topic, hop, shape},
};
use proptest::prelude::*;
use proptest_state_machine::ReferenceStateMachine;

/// The source and its topic: all that the transitions depend on.
#[derive(Clone, Debug)]
pub struct Reference {
    setup: Setup,
    steps: Vec<Step>,
    pub topic: Topic,
}

impl Reference {
    pub fn source(&self) -> Source {
        Source::run(&self.setup, &self.steps)
    }
}

#[derive(Clone, Debug)]
pub enum Transition {
    /// Something is committed in the source.
    Source(Step),
    /// Something happens to the topic.
    Topic(Hop),
    /// The writer takes the next records, at most so many.
    Consume(usize),
    /// The writer's process dies after so many steps of writing a batch, and is started again.
    Die { most: usize, after: usize },
    /// The writer's connection is cut after so many steps; it finds out what became of the batch, and goes on.
    Cut { most: usize, after: usize },
    /// The process ends in good order and is started again.
    Restart,
    /// Another writer takes the partition over, after so many steps of the first one's batch. The first one then goes on,
    /// as a process does that was only suspended.
    TakeOver { most: usize, after: usize },
    /// The one that was overtaken comes back and wants to write.
    Zombie(usize),
    /// It does so while the rightful one writes.
    Race(usize),
}

impl ReferenceStateMachine for Reference {
    type State = Self;
    type Transition = Transition;

    fn init_state() -> BoxedStrategy<Self> {
        (setup(), shape())
            .prop_map(|(setup, shape)| Self { setup, steps: Vec::new(), topic: Topic::new(shape) })
            .boxed()
    }

    fn transitions(_: &Self) -> BoxedStrategy<Transition> {
        let most = || 1..9_usize;
        // A batch takes a dozen or two of them.
        let after = || 0..30_usize;
        prop_oneof![
            8 => step().prop_map(Transition::Source),
            8 => hop().prop_map(Transition::Topic),
            6 => most().prop_map(Transition::Consume),
            2 => (most(), after()).prop_map(|(most, after)| Transition::Die { most, after }),
            2 => (most(), after()).prop_map(|(most, after)| Transition::Cut { most, after }),
            1 => Just(Transition::Restart),
            2 => (most(), after()).prop_map(|(most, after)| Transition::TakeOver { most, after }),
            1 => most().prop_map(Transition::Zombie),
            1 => most().prop_map(Transition::Race),
        ]
        .boxed()
    }

    fn apply(mut state: Self, transition: &Transition) -> Self {
        match transition {
            Transition::Source(step) => state.steps.push(step.clone()),
            Transition::Topic(hop) => {
                let log = state.source().log;
                state.topic.hop(&log, hop);
            }
            _ => {}
        }
        state
    }
}
