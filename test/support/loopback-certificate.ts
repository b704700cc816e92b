/**
 * A self-signed certificate for 127.0.0.1 and localhost, for tests that need a TLS server on loopback. The key is
 * public by being here; nothing outside the tests trusts the certificate. Valid for a hundred years, so that no test
 * depends on the date.
 */
export const LOOPBACK_CERTIFICATE = `-----BEGIN CERTIFICATE-----
MIIBozCCAUmgAwIBAgIUa7u3/V1pbmEv6zha822IBjMZaPEwCgYIKoZIzj0EAwIw
GDEWMBQGA1UEAwwNbG9vcGJhY2sgdGVzdDAgFw0yNjExMjIxNDI3MzJaGA8yMTI2
MTAyOTE0MjczMlowGDEWMBQGA1UEAwwNbG9vcGJhY2sgdGVzdDBZMBMGByqGSM49
AgEGCCqGSM49AwEHA0IABE/iD51Fgj1RtakoItoC8z69cZHc2lxW/U/UVcYmUqUz
YG501b4AymRcN6f+jiOd4iNBY4vEcv/mQigQLaxh5RqjbzBtMB0GA1UdDgQWBBQt
0z1SfHaxXETipi59wE/0rhEZmTAfBgNVHSMEGDAWgBQt0z1SfHaxXETipi59wE/0
rhEZmTAaBgNVHREEEzARhwR/AAABgglsb2NhbGhvc3QwDwYDVR0TAQH/BAUwAwEB
/zAKBggqhkjOPQQDAgNIADBFAiEA0RBA/+3GZZ6N7tpMHQuDC3sKYtw4E/tiwxZl
zINZ2KcCIDjOVKh2SqizBH1dymJueYT0FeHpdPG41bhuXOEgnxUC
-----END CERTIFICATE-----
`;

export const LOOPBACK_KEY = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg4CQOKsBkq5AJiKPt
e930paLAl+ln8wz5+HhBW7m4S+ihRANCAARP4g+dRYI9UbWpKCLaAvM+vXGR3Npc
Vv1P1FXGJlKlM2BudNW+AMpkXDen/o4jneIjQWOLxHL/5kIoEC2sYeUa
-----END PRIVATE KEY-----
`;
