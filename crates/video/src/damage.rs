//! [`Damage`]: what is wrong with a video whose other frames can be decoded.

use std::fmt;

/// What a decoder met and passed over. It is complete once the decoder has returned its last frame.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Damage {
    /// Frames of which the decoder replaced a part.
    pub num_concealed: u64,
    /// Frames that the decoder refused.
    pub num_refused: u64,
    /// Frames that the container lists, and that are not in the file, although later frames are.
    pub num_missing: u64,
    /// Places where the container is damaged.
    pub num_container_errors: u64,
    /// The first concealed frame.
    first_concealed: Option<u64>,
    first_packet: Option<PacketPosition>,
}

/// Where a packet without a frame of its own belongs, in presentation order.
#[derive(Debug, Clone, PartialEq, Eq)]
struct PacketPosition {
    /// The presentation time, in the time base of the stream.
    ticks: Option<i64>,
    /// Number of frames that are shown before it, of those decoded so far.
    frame_index: u64,
}

impl Damage {
    /// Returns whether there is none.
    pub fn is_none(&self) -> bool {
        self.num_concealed + self.num_refused + self.num_missing + self.num_container_errors == 0
    }

    /// Returns the position of the first damaged frame in presentation order, if it is known.
    pub fn first_frame_index(&self) -> Option<u64> {
        let packet = self.first_packet.as_ref().map(|position| position.frame_index);
        [self.first_concealed, packet].into_iter().flatten().min()
    }

    /// Adds the decoded frame `frame_index`.
    pub(crate) fn add_frame(&mut self, frame_index: u64, ticks: Option<i64>, concealed: bool) {
        if concealed {
            self.num_concealed += 1;
            self.first_concealed.get_or_insert(frame_index);
        }
        if let Some(position) = &mut self.first_packet
            && let (Some(frame), Some(packet)) = (ticks, position.ticks)
            && frame < packet
        {
            // The decoder had not returned this frame yet when it received the packet.
            position.frame_index = frame_index + 1;
        }
    }

    /// Adds a packet that the decoder refused, after `num_frames` frames.
    pub(crate) fn add_refused(&mut self, ticks: Option<i64>, num_frames: u64) {
        self.num_refused += 1;
        self.place(ticks, num_frames);
    }

    /// Adds an error of the container at a packet, after `num_frames` frames.
    pub(crate) fn add_container_error(&mut self, ticks: Option<i64>, num_frames: u64) {
        self.num_container_errors += 1;
        self.place(ticks, num_frames);
    }

    /// Notes where the first packet with an error belongs.
    pub(crate) fn place(&mut self, ticks: Option<i64>, num_frames: u64) {
        let is_earlier = |first: &PacketPosition| ticks.zip(first.ticks).is_some_and(|(new, old)| new < old);
        if self.first_packet.as_ref().is_none_or(is_earlier) {
            self.first_packet = Some(PacketPosition { ticks, frame_index: num_frames });
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { num_concealed, num_refused, num_missing, num_container_errors, .. } = *self;
        let part = |count: u64, one: &str, many: &str| match count {
            0 => None,
            1 => Some(format!("1 {one}")),
            _ => Some(format!("{count} {many}")),
        };
        let parts = [
            part(num_concealed, "frame is damaged", "frames are damaged"),
            part(num_refused, "frame can't be decoded", "frames can't be decoded"),
            part(num_missing, "frame is missing", "frames are missing"),
            part(num_container_errors, "error in the container", "errors in the container"),
        ];
        write!(f, "{}", parts.into_iter().flatten().collect::<Vec<_>>().join(", "))?;
        match self.first_frame_index() {
            Some(frame_index) => write!(f, "; the first is at frame {frame_index}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_placed_by_its_time_and_not_by_the_delay_of_the_decoder() {
        let mut damage = Damage::default();
        damage.add_frame(0, Some(0), false);
        // Frames 1 and 2 are still in the decoder when it refuses the packet of frame 3.
        damage.add_refused(Some(30), 1);
        damage.add_frame(1, Some(10), false);
        damage.add_frame(2, Some(20), false);
        damage.add_frame(3, Some(40), true);
        assert_eq!(damage.to_string(), "1 frame is damaged, 1 frame can't be decoded; the first is at frame 3");
        // A later error at an earlier time, as with frames that refer to later ones.
        damage.add_container_error(Some(25), 4);
        damage.add_container_error(Some(70), 4);
        let expect = "1 frame is damaged, 1 frame can't be decoded, 2 errors in the container; the first is at frame 3";
        assert_eq!(damage.to_string(), expect);
    }
}
