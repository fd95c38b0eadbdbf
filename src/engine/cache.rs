//! How much cache a core has.

use std::fs;

/// Bytes of the level 2 cache, by Linux; of one that several cores share, the part of each of `threads`, as far as they are
/// among these.
pub fn level_2(threads: usize) -> Option<usize> {
    let caches = fs::read_dir("/sys/devices/system/cpu/cpu0/cache").ok()?;
    let mut caches = caches.filter_map(|entry| Some(entry.ok()?.path()));
    caches.find_map(|cache| {
        let read = |name: &str| fs::read_to_string(cache.join(name)).ok();
        level_2_of(&read, threads)
    })
}

fn level_2_of(read: &dyn Fn(&str) -> Option<String>, threads: usize) -> Option<usize> {
    if read("level")?.trim() != "2" || read("type")?.trim() == "Instruction" {
        return None;
    }
    let size = read("size")?;
    let size = size.trim();
    let (number, unit) = match size.strip_suffix('K') {
        Some(number) => (number, 1 << 10),
        None => (size.strip_suffix('M')?, 1 << 20),
    };
    let bytes = number.parse::<usize>().ok()?.checked_mul(unit)?;
    let sharing = read("shared_cpu_map").map_or(1, |map| {
        map.chars()
            .filter_map(|c| c.to_digit(16))
            .map(u32::count_ones)
            .sum()
    });
    Some(bytes / threads.min((sharing as usize).max(1)).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_caches_are_divided() {
        let cache = |map: &'static str| {
            move |name: &str| {
                let text = match name {
                    "level" => "2\n",
                    "type" => "Unified\n",
                    "size" => "1024K\n",
                    "shared_cpu_map" => map,
                    _ => return None,
                };
                Some(text.to_owned())
            }
        };
        let own = cache("00000001\n");
        assert_eq!(level_2_of(&own, 1), Some(1 << 20));
        assert_eq!(level_2_of(&own, 4), Some(1 << 20));
        let shared = cache("f\n");
        assert_eq!(level_2_of(&shared, 1), Some(1 << 20));
        assert_eq!(level_2_of(&shared, 2), Some(1 << 19));
        assert_eq!(level_2_of(&shared, 64), Some(1 << 18));
        assert_eq!(level_2_of(&|_: &str| None, 1), None);
    }
}
