"""What Lambda, Vercel and a server allow, and how each announces its deadline."""
