use super::*;
use std::collections::BTreeMap;
use std::thread;

const WAIT: Duration = Duration::from_mins(1);

/// Runs `work` in two groups, one per thread, as two processes would.
fn in_two<R: Send>(work: impl Fn(ProcessGroup) -> R + Sync) -> [R; 2] {
    let (listener, first) = Rendezvous::on_this_machine(2).expect("a socket");
    let second = Rendezvous { rank: 1, ..first.clone() };
    let work = &work;
    thread::scope(|scope| {
        let other = scope.spawn(move || work(ProcessGroup::join(&second, WAIT).expect("joined")));
        let own = work(ProcessGroup::host::<GroupError>(&first, listener, WAIT, || Ok(())).expect("hosted"));
        [own, other.join().expect("no panic")]
    })
}

#[test]
fn values_are_added_up_and_overwritten() {
    let found = in_two(|group| {
        let own = f64::from(group.rank() + 1);
        let mut sum = Tensor::from_slice(&[own, 10.0 * own]);
        group.all_reduce(&mut sum).expect("reduced");
        let mut first = Tensor::from_slice(&[own]);
        group.broadcast(&mut first).expect("overwritten");
        group.barrier().expect("all are there");
        (Vec::<f64>::try_from(&sum).expect("values"), first.double_value(&[0]), group.world_size())
    });
    assert_eq!(found, [(vec![3.0, 30.0], 1.0, 2), (vec![3.0, 30.0], 1.0, 2)]);
}

#[test]
fn several_tensors_keep_their_shapes_whatever_their_layout() {
    let found = in_two(|group| {
        // Larger than a bucket, with another layout in memory, and without values.
        let large = Tensor::ones([7, 1 << 20], (Kind::Float, tch::Device::Cpu));
        let transposed = Tensor::arange(6, (Kind::Float, tch::Device::Cpu)).view([2, 3]).transpose(0, 1);
        let empty = Tensor::zeros([0, 2], (Kind::Float, tch::Device::Cpu));
        let mut tensors = [large, transposed.copy(), empty, Tensor::from_slice(&[5.0f32])];
        group.all_reduce_together(&mut tensors).expect("reduced");
        let sums: Vec<f64> = tensors.iter().map(|tensor| tensor.sum(Kind::Double).double_value(&[])).collect();
        (sums, tensors[1].double_value(&[2, 0]), tensors.map(|tensor| tensor.size()))
    });
    let shapes = [vec![7, 1 << 20], vec![3, 2], vec![0, 2], vec![1]];
    assert_eq!(found[0], (vec![f64::from(14 << 20), 30.0, 0.0, 10.0], 4.0, shapes));
    assert_eq!(found[0], found[1]);
}

#[test]
fn values_are_told_and_heard() {
    let heard = in_two(|group| {
        if group.rank() == 0 {
            assert_eq!(group.heard("nothing", Duration::from_millis(1)).expect("connected"), None);
            group.tell("a key", b"\0value").expect("told");
        }
        let value = group.hear::<GroupError>("a key", || Ok(()));
        // The first process keeps the values.
        group.barrier().expect("all have heard");
        value.expect("heard")
    });
    assert_eq!(heard, [b"\0value", b"\0value"]);
    let stopped = in_two(|group| {
        let mut glances = 0;
        let stop = || {
            glances += 1;
            if glances == 2 { Err(GroupError::Lost { message: "stopped".into() }) } else { Ok(()) }
        };
        group.hear::<GroupError>("never", stop).expect_err("stopped").to_string()
    });
    assert!(stopped.iter().all(|error| error.ends_with("stopped")), "{stopped:?}");
}

#[test]
fn a_process_that_ends_is_noticed_at_once() {
    let start = Instant::now();
    let [error, _] = in_two(|group| {
        if group.rank() == 1 {
            return String::new();
        }
        let mut tensor = Tensor::from_slice(&[1.0f32]);
        group.all_reduce(&mut tensor).expect_err("the other one has ended").to_string()
    });
    assert!(error.starts_with("the connection to the other processes is lost: "), "{error}");
    assert!(!error.contains("/gloo/"), "{error}");
    assert!(start.elapsed() < REDUCTION / 10);
}

#[test]
fn a_process_that_does_not_come_is_an_error() {
    let (listener, first) = Rendezvous::on_this_machine(2).expect("a socket");
    let error = ProcessGroup::host::<GroupError>(&first, listener, Duration::from_millis(1), || Ok(()));
    let error = error.expect_err("alone").to_string();
    assert!(error.starts_with("process 0 of 2 can't meet the others at 127.0.0.1:"), "{error}");
    assert!(error.ends_with(": process 1 did not come within 1ms"), "{error}");
    let (listener, first) = Rendezvous::on_this_machine(2).expect("a socket");
    let stop = || Err(GroupError::Lost { message: "stopped".into() });
    let error = ProcessGroup::host(&first, listener, WAIT, stop).expect_err("stopped").to_string();
    assert!(error.ends_with("stopped"), "{error}");
}

#[test]
fn variables_are_those_of_torchrun() {
    let read = |variables: &[(&str, &str)]| {
        let variables: BTreeMap<String, String> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Rendezvous::from_variables(|name| variables.get(name).cloned())
    };
    assert_eq!(read(&[("MASTER_ADDR", "x")]), Ok(None));
    let all = [("RANK", "1"), ("WORLD_SIZE", "2"), ("MASTER_ADDR", "127.0.0.1"), ("MASTER_PORT", "29500")];
    let found = read(&all).expect("valid").expect("set");
    assert_eq!(found, Rendezvous { rank: 1, world_size: 2, master: ([127, 0, 0, 1], 29500).into() });
    let again: Vec<(&str, String)> = found.variables(1).into();
    assert_eq!(again, all.map(|(name, value)| (name, value.to_owned())));
    let check = |variables: &[(&str, &str)], expect: &str| {
        assert_eq!(read(variables).expect_err(expect).to_string(), expect);
    };
    check(&all[..1], "the environment variable WORLD_SIZE is missing, but others of its group are set");
    check(&all[..2], "the environment variable MASTER_PORT is missing, but others of its group are set");
    check(&[("RANK", "one"), all[1]], "the environment variable RANK is \"one\", which is not a number");
    check(
        &[("RANK", "2"), all[1], all[2], all[3]],
        "the environment variable RANK is 2, but WORLD_SIZE is 2; ranks count from 0",
    );
    check(
        &[all[0], all[1], all[2], ("MASTER_PORT", "70000")],
        "the environment variable MASTER_PORT is 70000, which is not a port",
    );
}
