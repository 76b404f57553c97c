// The proof that a log only grew (RFC 9162 §2.1.4.2): the tree of `oldSize` records with `oldRoot` is the
// beginning of the tree of `size` records with `root`. Hashes are Uint8Array of 32 bytes. Sizes are numbers
// below 2^53, so nothing here may use 32-bit operators.

async function node(left, right) {
  const input = new Uint8Array(65);
  input[0] = 1;
  input.set(left, 1);
  input.set(right, 33);
  return new Uint8Array(await crypto.subtle.digest('SHA-256', input));
}

const same = (a, b) => a.length === b.length && a.every((byte, i) => byte === b[i]);
const half = (n) => Math.floor(n / 2);
const isOdd = (n) => n % 2 === 1;
const isPowerOfTwo = (n) => Number.isInteger(Math.log2(n));

export async function onlyGrew({ oldSize, oldRoot, size, root, proof }) {
  if (oldSize > size || oldSize < 1) return false;
  if (oldSize === size) return proof.length === 0 && same(oldRoot, root);
  const path = isPowerOfTwo(oldSize) ? [oldRoot, ...proof] : [...proof];
  if (path.length === 0) return false;
  let [fn, sn] = [oldSize - 1, size - 1];
  while (isOdd(fn)) [fn, sn] = [half(fn), half(sn)];
  let [fr, sr] = [path[0], path[0]];
  for (const c of path.slice(1)) {
    if (sn === 0) return false;
    if (isOdd(fn) || fn === sn) {
      [fr, sr] = [await node(c, fr), await node(c, sr)];
      while (!isOdd(fn) && fn !== 0) [fn, sn] = [half(fn), half(sn)];
    } else {
      sr = await node(sr, c);
    }
    [fn, sn] = [half(fn), half(sn)];
  }
  return sn === 0 && same(fr, oldRoot) && same(sr, root);
}

export const fromBase64 = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
