// nats.js does not read a user and a password from an address.

export function loginOf(address: string): { readonly servers: string; readonly user: string; readonly pass: string } {
  const { host, username, password } = new URL(address);
  return { servers: host, user: username, pass: password };
}
