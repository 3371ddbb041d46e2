//! [`ProcessGroup`]: processes that train one network together, over libtorch's c10d with Gloo.
//!
//! They meet at an address of the first process, `MASTER_ADDR` and `MASTER_PORT`, and number themselves with `RANK` of `WORLD_SIZE`, as
//! with `torchrun`. A process that dies closes its connections, so that the next reduction fails in all others at once.

use crate::c10d::{BatchNormCall, RawGroup, Text};
use crate::error::At;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, ToSocketAddrs, UdpSocket};
use std::os::fd::IntoRawFd;
use std::time::{Duration, Instant};
use tch::{Kind, TchError, Tensor};

/// How long a reduction may take; PyTorch's default. A process that has died is noticed at once.
const REDUCTION: Duration = Duration::from_mins(30);

/// How long a connection may take at least, to a process that is there.
const CONNECT: Duration = Duration::from_secs(30);

/// How long to wait for a value before looking whether to stop.
const GLANCE: Duration = Duration::from_millis(200);

/// Largest size of the values that are reduced together; that of PyTorch's `DistributedDataParallel`.
const BUCKET_BYTES: usize = 25 << 20;

/// Why processes can't work together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the message of a variant says what its fields are")]
pub enum GroupError {
    /// Some of the variables are set, or one has no valid value.
    #[error("the environment variable {name} {problem}")]
    Variable { name: &'static str, problem: String },
    /// An address is not known.
    #[error("can't use the address {address}: {message}")]
    Address { address: String, message: String },
    /// Not all processes came, or no connection was possible.
    #[error("process {rank} of {world_size} can't meet the others at {master}: {message}")]
    Meeting { rank: u32, world_size: u32, master: String, message: String },
    /// A process has ended, or does not answer.
    #[error("the connection to the other processes is lost: {message}")]
    Lost { message: String },
}

/// Which process this is, and where all meet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendezvous {
    /// Counted from 0. The first process listens at `master`.
    pub rank: u32,
    /// Number of processes.
    pub world_size: u32,
    /// The address of the first process.
    pub master: SocketAddr,
}

impl Rendezvous {
    /// Returns what the variables `RANK`, `WORLD_SIZE`, `MASTER_ADDR` and `MASTER_PORT` say; `None` if `RANK` and `WORLD_SIZE` are not
    /// set.
    ///
    /// # Errors
    /// [`GroupError::Variable`] if one of the others is missing or not valid, [`GroupError::Address`] if the address is unknown.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, GroupError> {
        if variable("RANK").is_none() && variable("WORLD_SIZE").is_none() {
            return Ok(None);
        }
        let number = |name: &'static str| {
            let problem = |problem: String| GroupError::Variable { name, problem };
            let text = variable(name).ok_or_else(|| problem("is missing, but others of its group are set".into()))?;
            text.trim().parse::<u32>().map_err(|_| problem(format!("is {text:?}, which is not a number")))
        };
        let (rank, world_size, port) = (number("RANK")?, number("WORLD_SIZE")?, number("MASTER_PORT")?);
        if rank >= world_size {
            let problem = format!("is {rank}, but WORLD_SIZE is {world_size}; ranks count from 0");
            return Err(GroupError::Variable { name: "RANK", problem });
        }
        let missing = || GroupError::Variable { name: "MASTER_ADDR", problem: "is missing".into() };
        let port = u16::try_from(port).ok().filter(|port| *port > 0).ok_or_else(|| GroupError::Variable {
            name: "MASTER_PORT",
            problem: format!("is {port}, which is not a port"),
        })?;
        let master = resolve(&variable("MASTER_ADDR").ok_or_else(missing)?, port)?;
        Ok(Some(Self { rank, world_size, master }))
    }

    /// Returns a socket that listens for processes of this machine only, and where they meet.
    pub fn on_this_machine(world_size: u32) -> Result<(TcpListener, Self), GroupError> {
        let listener = listen(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0))?;
        let master = listener.local_addr().map_err(|error| address_error("127.0.0.1", &error))?;
        Ok((listener, Self { rank: 0, world_size, master }))
    }

    /// Returns the variables that tell process `rank` where to go.
    pub fn variables(&self, rank: u32) -> [(&'static str, String); 4] {
        [
            ("RANK", rank.to_string()),
            ("WORLD_SIZE", self.world_size.to_string()),
            ("MASTER_ADDR", self.master.ip().to_string()),
            ("MASTER_PORT", self.master.port().to_string()),
        ]
    }
}

/// Listens at an address, so that other processes can connect.
pub fn listen(address: SocketAddr) -> Result<TcpListener, GroupError> {
    TcpListener::bind(address).map_err(|error| address_error(&address.to_string(), &error))
}

/// Returns the key that says that a process has come.
fn here(rank: u32) -> String {
    format!("here/{rank}")
}

fn resolve(host: &str, port: u16) -> Result<SocketAddr, GroupError> {
    let mut found = (host, port).to_socket_addrs().map_err(|error| address_error(host, &error))?;
    found.next().ok_or_else(|| GroupError::Address { address: host.into(), message: "it stands for no machine".into() })
}

fn address_error(address: &str, error: &std::io::Error) -> GroupError {
    GroupError::Address { address: address.into(), message: error.to_string() }
}

/// Returns the address of this machine from which `master` is reached. Nothing is sent.
fn own_address(master: SocketAddr) -> Result<IpAddr, GroupError> {
    let any: SocketAddr =
        if master.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (std::net::Ipv6Addr::UNSPECIFIED, 0).into() };
    let route = UdpSocket::bind(any).and_then(|socket| {
        socket.connect(master)?;
        socket.local_addr()
    });
    route.map(|address| address.ip()).map_err(|error| address_error(&master.to_string(), &error))
}

/// Processes that train one network together. All of them call the same reductions in the same order.
#[derive(Debug)]
pub struct ProcessGroup {
    raw: RawGroup,
    rank: u32,
    world_size: u32,
}

impl ProcessGroup {
    /// Meets the other processes as the first one, which listens with `listener`; fails if they do not come within `wait`. `stop` is called
    /// now and then, and may end the wait with an error of its own.
    pub fn host<E: From<GroupError>>(
        meeting: &Rendezvous,
        listener: TcpListener,
        wait: Duration,
        stop: impl FnMut() -> Result<(), E>,
    ) -> Result<Self, E> {
        Self::meet(meeting, Some(listener), wait, stop)
    }

    /// Meets the other processes as another one than the first; fails if that does not listen within `wait`.
    pub fn join(meeting: &Rendezvous, wait: Duration) -> Result<Self, GroupError> {
        Self::meet(meeting, None, wait, || Ok(()))
    }

    fn meet<E: From<GroupError>>(
        at: &Rendezvous,
        listener: Option<TcpListener>,
        wait: Duration,
        mut stop: impl FnMut() -> Result<(), E>,
    ) -> Result<Self, E> {
        let Rendezvous { rank, world_size, master } = *at;
        let error = |message: Text| GroupError::Meeting { rank, world_size, master: master.to_string(), message };
        let until = Instant::now() + wait;
        let (host, own_address) = (master.ip().to_string(), own_address(master)?.to_string());
        let listener = listener.map(IntoRawFd::into_raw_fd);
        // The first process connects to itself.
        let reach = if listener.is_some() { wait.max(CONNECT) } else { wait };
        let mut raw = RawGroup::new(&host, master.port(), listener, reach).map_err(error)?;
        raw.set(&here(rank), b"").map_err(error)?;
        for other in 0..world_size {
            while raw.get(&here(other), GLANCE).map_err(error)?.is_none() {
                if Instant::now() >= until {
                    let message = format!("process {other} did not come within {wait:?}");
                    return Err(error(message).into());
                }
                stop()?;
            }
        }
        raw.connect(rank, world_size, &own_address, [wait.max(CONNECT), REDUCTION]).map_err(error)?;
        Ok(Self { raw, rank, world_size })
    }

    /// Returns the number of this process, counted from 0.
    pub fn rank(&self) -> u32 {
        self.rank
    }

    /// Returns the number of processes.
    pub fn world_size(&self) -> u32 {
        self.world_size
    }

    /// Adds up the values of all processes, in place. The result has the same bits in all of them.
    pub fn all_reduce(&self, tensor: &mut Tensor) -> Result<(), GroupError> {
        self.raw.all_reduce(tensor).map_err(lost)
    }

    /// Adds up tensors of one kind, in place, as few large ones: a reduction of a small tensor takes as long as one of a thousand values.
    pub(crate) fn all_reduce_together(&self, tensors: &mut [Tensor]) -> Result<(), crate::LearnError> {
        in_buckets(tensors, |flat| self.all_reduce(flat))
    }

    /// Overwrites tensors with those of the first process, in place, as few large ones.
    pub(crate) fn broadcast_together(&self, tensors: &mut [Tensor]) -> Result<(), crate::LearnError> {
        in_buckets(tensors, |flat| self.broadcast(flat))
    }

    /// Overwrites the values with those of the first process, in place.
    pub fn broadcast(&self, tensor: &mut Tensor) -> Result<(), GroupError> {
        self.raw.broadcast(tensor).map_err(lost)
    }

    /// Waits until all processes have called it.
    pub fn barrier(&self) -> Result<(), GroupError> {
        self.all_reduce(&mut Tensor::zeros([1], (Kind::Float, tch::Device::Cpu)))
    }

    /// Tells all processes a value.
    pub fn tell(&self, key: &str, value: &[u8]) -> Result<(), GroupError> {
        self.raw.set(key, value).map_err(lost)
    }

    /// Waits for a value that a process tells; `stop` is called now and then, and may end the wait with an error of its own.
    pub fn hear<E: From<GroupError>>(&self, key: &str, mut stop: impl FnMut() -> Result<(), E>) -> Result<Vec<u8>, E> {
        loop {
            if let Some(value) = self.raw.get(key, GLANCE).map_err(lost)? {
                return Ok(value);
            }
            stop()?;
        }
    }

    /// Returns a value that a process has told or tells within `wait`.
    pub fn heard(&self, key: &str, wait: Duration) -> Result<Option<Vec<u8>>, GroupError> {
        self.raw.get(key, wait).map_err(lost)
    }

    /// Normalises with the statistics of the batches of all processes.
    pub(crate) fn batch_norm(&self, call: BatchNormCall<'_>) -> Result<Tensor, TchError> {
        self.raw.batch_norm(call).map_err(TchError::Torch)
    }
}

pub(crate) fn lost(message: Text) -> GroupError {
    // Gloo's texts begin with the place in its source: `[/pytorch/third_party/gloo/…:547] Connection closed by peer`.
    let end = if message.starts_with('[') { message.find("] ").map_or(0, |end| end + 2) } else { 0 };
    GroupError::Lost { message: message[end..].to_owned() }
}

/// Changes tensors of one kind as a few large ones with one axis.
fn in_buckets(
    mut tensors: &mut [Tensor],
    change: impl Fn(&mut Tensor) -> Result<(), GroupError>,
) -> Result<(), crate::LearnError> {
    while !tensors.is_empty() {
        let (bucket, others) = tensors.split_at_mut(bucket_len(tensors));
        let mut flat = flatten(bucket).at("a reduction")?;
        change(&mut flat)?;
        unflatten(&flat, bucket).at("a reduction")?;
        tensors = others;
    }
    Ok(())
}

/// Returns how many of the first tensors are reduced together, at least one.
fn bucket_len(tensors: &[Tensor]) -> usize {
    let mut bytes = 0;
    let fits = |tensor: &&Tensor| {
        bytes += tensor.numel() * tensor.kind().elt_size_in_bytes();
        bytes <= BUCKET_BYTES
    };
    tensors.iter().take_while(fits).count().max(1)
}

fn flatten(tensors: &[Tensor]) -> Result<Tensor, TchError> {
    let parts = tensors.iter().map(|tensor| tensor.f_reshape([-1])).collect::<Result<Vec<_>, _>>()?;
    Tensor::f_cat(&parts, 0)
}

fn unflatten(flat: &Tensor, tensors: &mut [Tensor]) -> Result<(), TchError> {
    let mut start = 0;
    for tensor in tensors {
        let len = tensor.numel() as i64;
        tensor.f_copy_(&flat.f_narrow(0, start, len)?.f_view_as(tensor)?)?;
        start += len;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
