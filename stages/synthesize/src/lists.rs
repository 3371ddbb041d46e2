//! The annotation lists, as UCF101 has them.
//!
//! ```text
//! classInd.txt       1 ApplyEyeMakeup
//! trainlist01.txt    ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1
//! testlist01.txt     ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi
//! ```

use crate::scene::Clip;

/// Name and content of each list.
pub(crate) fn lists(classes: &[&'static str], clips: &[Clip], test_groups: u32) -> [(&'static str, String); 3] {
    let class_index: String =
        classes.iter().enumerate().map(|(index, name)| format!("{} {name}\n", index + 1)).collect();
    let (mut train, mut test) = (String::new(), String::new());
    for clip in clips {
        if clip.group <= test_groups {
            test += &format!("{}\n", clip.path());
        } else {
            train += &format!("{} {}\n", clip.path(), clip.class_index + 1);
        }
    }
    [("classInd.txt", class_index), ("trainlist01.txt", train), ("testlist01.txt", test)]
}
