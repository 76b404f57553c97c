// The proof that a log only grew, as the admin page checks it, against a tree that is built as RFC 6962 §2.1
// says, word by word.
import assert from 'node:assert/strict';
import { createHash, webcrypto } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';

globalThis.crypto ??= webcrypto;
// As a module whatever this version of Node takes a file named .js for.
const source = await readFile(new URL('../../admin-ui/consistency.js', import.meta.url), 'base64');
const { onlyGrew } = await import(`data:text/javascript;base64,${source}`);

const sha256 = (...parts) => new Uint8Array(createHash('sha256').update(Buffer.concat(parts)).digest());
const leaf = (i) => sha256(Buffer.from([0]), Buffer.from(`record ${i}`));
const node = (left, right) => sha256(Buffer.from([1]), left, right);
const split = (n) => { let k = 1; while (k * 2 < n) k *= 2; return k; };

function rootOf(leaves) {
  if (leaves.length === 1) return leaves[0];
  const k = split(leaves.length);
  return node(rootOf(leaves.slice(0, k)), rootOf(leaves.slice(k)));
}

function subproof(m, leaves, whole) {
  if (m === leaves.length) return whole ? [] : [rootOf(leaves)];
  const k = split(leaves.length);
  return m <= k
    ? [...subproof(m, leaves.slice(0, k), whole), rootOf(leaves.slice(k))]
    : [...subproof(m - k, leaves.slice(k), false), rootOf(leaves.slice(0, k))];
}

const kMost = 40;
const leaves = Array.from({ length: kMost }, (_, i) => leaf(i));

test('every growth is believed, and no other past', async () => {
  for (let size = 1; size <= kMost; ++size) {
    const root = rootOf(leaves.slice(0, size));
    for (let oldSize = 1; oldSize <= size; ++oldSize) {
      const oldRoot = rootOf(leaves.slice(0, oldSize));
      const proof = subproof(oldSize, leaves.slice(0, size), true);
      const claim = { oldSize, oldRoot, size, root, proof };
      const name = `${oldSize} of ${size}`;
      assert.equal(await onlyGrew(claim), true, name);
      const other = sha256(oldRoot);
      assert.equal(await onlyGrew({ ...claim, oldRoot: other }), false, `${name}: other past`);
      assert.equal(await onlyGrew({ ...claim, root: sha256(root) }), false, `${name}: other root`);
      assert.equal(await onlyGrew({ ...claim, proof: [...proof, other] }), false, `${name}: longer proof`);
      if (proof.length > 0) {
        assert.equal(await onlyGrew({ ...claim, proof: proof.slice(1) }), false, `${name}: shorter proof`);
        assert.equal(await onlyGrew({ ...claim, proof: [other, ...proof.slice(1)] }), false, `${name}: other proof`);
      }
      if (oldSize < size) {
        assert.equal(await onlyGrew({ ...claim, oldSize: size, size: oldSize }), false, `${name}: shrunk`);
      }
    }
  }
});
