/** An account in a wallet that a page can reach: any provider of EIP-1193. */

import { fromHex, hex, utf8, type Bytes } from "../encoding.js";
import { keccak256 } from "./keccak.js";

/** What of EIP-1193 is needed; `window.ethereum` is one. */
export interface Provider {
  request(call: { method: string; params?: unknown[] }): Promise<unknown>;
}

/** An address in the mixed case of EIP-55, which most providers do not give. */
export function checksummed(address: string): string {
  const digits = hex(fromHex(address));
  if (digits.length !== 40) throw new TypeError("an address is 0x and 40 hexadecimal digits");
  const hash = hex(keccak256(utf8(digits)));
  return "0x" + [...digits].map((digit, at) => (hash[at]! >= "8" ? digit.toUpperCase() : digit)).join("");
}

/** One account of a provider. */
export class Wallet {
  private constructor(
    readonly provider: Provider,
    /** In the mixed case of EIP-55. */
    readonly address: string,
  ) {}

  /** Asks the provider, and it its owner, for an account: the first one, or `address` among them. */
  static async connect(provider: Provider, address?: string): Promise<Wallet> {
    const accounts = (await provider.request({ method: "eth_requestAccounts" })) as string[];
    const known = accounts.map(checksummed);
    const wanted = address === undefined ? known[0] : checksummed(address);
    if (!wanted || !known.includes(wanted)) throw new TypeError("the wallet does not have this account");
    return new Wallet(provider, wanted);
  }

  /** The number of the chain that the provider is on. */
  async chainId(): Promise<number> {
    return Number(await this.provider.request({ method: "eth_chainId" }));
  }

  /** Signs bytes as a personal message (EIP-191); the wallet shows them to its owner. */
  async sign(message: Bytes): Promise<Bytes> {
    const params = [`0x${hex(message)}`, this.address];
    const signature = fromHex(String(await this.provider.request({ method: "personal_sign", params })));
    if (signature.length !== 65) throw new TypeError("the account is not one that a key controls");
    // Some devices number the recovery as a curve does, not as Ethereum does.
    if (signature[64]! < 27) signature[64]! += 27;
    return signature;
  }
}
