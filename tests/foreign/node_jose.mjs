// Tokens and keys by `jose`: for each algorithm a line of JSON on stdout, with the public key as PEM and as a
// member of a key set, a token that is good for an hour, and one whose time is over.

import { SignJWT, exportJWK, exportSPKI, generateKeyPair } from "jose";

const claims = { sub: "ann", channels: ["/chat/{room}"] };
const now = Math.floor(Date.now() / 1000);
const token = (alg, key, exp) => new SignJWT(claims).setProtectedHeader({ alg, kid: alg }).setExpirationTime(exp).sign(key);
const tell = async (alg, key, published) =>
  console.log(
    JSON.stringify({
      event: alg,
      ...published,
      good: await token(alg, key, now + 3600),
      expired: await token(alg, key, now - 60),
    }),
  );

for (const alg of ["EdDSA", "ES256", "RS256"]) {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  const jwk = { ...(await exportJWK(publicKey)), kid: alg };
  await tell(alg, privateKey, { pem: await exportSPKI(publicKey), jwk });
}
const secret = "only-for-tests-0123456789abcdef-x";
await tell("HS256", new TextEncoder().encode(secret), { secret });
