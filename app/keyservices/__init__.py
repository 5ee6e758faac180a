"""Services outside the house that keep the key to the keyset: HashiCorp Vault and AWS KMS."""
