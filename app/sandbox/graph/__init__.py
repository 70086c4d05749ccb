"""What Instagram and Facebook share: the Graph API's errors, tokens, versions, parameters and lists."""
