/** Where the key of a key-bound session is kept: IndexedDB takes keys that no script can read. */

export interface KeyStore {
  get(name: string): Promise<CryptoKeyPair | undefined>;
  put(name: string, key: CryptoKeyPair): Promise<unknown>;
  delete(name: string): Promise<unknown>;
}

const KEYS = "keys";

const settled = <T>(request: IDBRequest<T>): Promise<T> =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

/** The keys of this page's origin, shared by its tabs. */
export function indexedDbKeys(): KeyStore {
  let database: Promise<IDBDatabase> | undefined;
  const open = (): Promise<IDBDatabase> => {
    const request = indexedDB.open("countersign", 1);
    request.onupgradeneeded = () => request.result.createObjectStore(KEYS);
    return settled(request);
  };
  const within = async <T>(
    mode: IDBTransactionMode,
    act: (store: IDBObjectStore) => IDBRequest<T>,
  ): Promise<T> => {
    database ??= open();
    return settled(act((await database).transaction(KEYS, mode).objectStore(KEYS)));
  };
  return {
    get: (name) => within("readonly", (store) => store.get(name) as IDBRequest<CryptoKeyPair | undefined>),
    put: (name, key) => within("readwrite", (store) => store.put(key, name)),
    delete: (name) => within("readwrite", (store) => store.delete(name)),
  };
}
