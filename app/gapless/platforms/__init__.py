"""What Lambda, Vercel and a server allow, and how each says its deadline."""
