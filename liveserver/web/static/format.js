// Numbers as people read them. Pure; money stays an integer of fen until it is text.

/** 990 → "9.90". Exact for every integer below 2^53. */
export function yuan(fen) {
  const whole = Math.floor(fen / 100);
  return `${whole}.${String(fen - whole * 100).padStart(2, "0")}`;
}

/** 61_000 → "1:01", 3_600_000 → "1:00:00"; rounded up, so it reads 0:00 only when it is over. */
export function countdown(leftMs) {
  const total = Math.max(0, Math.ceil(leftMs / 1000));
  const two = (value) => String(value).padStart(2, "0");
  const [hours, minutes, seconds] = [Math.floor(total / 3600), Math.floor(total / 60) % 60, total % 60];
  return hours > 0 ? `${hours}:${two(minutes)}:${two(seconds)}` : `${minutes}:${two(seconds)}`;
}

/** 2027-01-31, in the zone of whoever reads it. */
export function day(timeMs) {
  const at = new Date(timeMs);
  const two = (value) => String(value).padStart(2, "0");
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
}

/** 12_345 → "1.2万" or "12.3k"; small numbers as they are. */
export function brief(count, language) {
  const [step, unit] = language === "zh" ? [10_000, "万"] : [1_000, "k"];
  if (count < step) return String(count);
  return `${(Math.floor((count * 10) / step) / 10).toString()}${unit}`;
}
